//! The files of a new tool: templates in `host/faces/templates`, with its name filled in.

use super::Language;

/// A file of a new tool.
#[derive(Clone, Debug)]
pub(super) struct TemplateFile {
    /// Where, from its folder.
    pub(super) path: String,
    /// What is in it.
    pub(super) text: String,
}

/// What the templates of a language are made of.
struct Template {
    /// The language's name.
    language: &'static str,
    /// Its source, as the new README names it.
    source: &'static str,
    /// What it is built into, from the tool's folder.
    component: &'static str,
    /// The end of its manifest.
    build: &'static str,
    /// Its own files.
    files: &'static [(&'static str, &'static str)],
}

/// The text of a template.
macro_rules! template {
    ($path:literal) => {
        include_str!(concat!("../../../templates/", $path))
    };
}

const PYTHON: Template = Template {
    language: "Python",
    source: "app.py",
    component: "{{name}}.wasm",
    build: template!("python/build.toml"),
    files: &[
        ("app.py", template!("python/app.py")),
        ("requirements.txt", template!("python/requirements.txt")),
        (".gitignore", template!("python/gitignore")),
    ],
};

const JAVASCRIPT: Template = Template {
    language: "JavaScript",
    source: "app.js",
    component: "{{name}}.wasm",
    build: template!("js/build.toml"),
    files: &[
        ("app.js", template!("js/app.js")),
        ("package.json", template!("js/package.json")),
        ("package-lock.json", template!("js/package-lock.json")),
        (".gitignore", template!("js/gitignore")),
    ],
};

const RUST: Template = Template {
    language: "Rust",
    source: "src/lib.rs",
    component: "target/wasm32-wasip2/release/tool.wasm",
    build: template!("rust/build.toml"),
    files: &[
        ("src/lib.rs", template!("rust/lib.rs")),
        ("Cargo.toml", template!("rust/Cargo.toml")),
        ("Cargo.lock", template!("rust/Cargo.lock")),
        (".gitignore", template!("rust/gitignore")),
    ],
};

/// Files that every tool has, besides its manifest.
const COMMON: [(&str, &str); 3] = [
    ("wit/world.wit", template!("world.wit")),
    ("call.json", template!("call.json")),
    ("README.md", template!("README.md")),
];

/// The files of a new tool of that name.
pub(super) fn files(name: &str, language: Language) -> Vec<TemplateFile> {
    let template = match language {
        Language::Python => PYTHON,
        Language::Js => JAVASCRIPT,
        Language::Rust => RUST,
    };
    let fill = |text: &str| {
        text.replace("{{component}}", template.component)
            .replace("{{language}}", template.language)
            .replace("{{source}}", template.source)
            .replace("{{snake}}", &name.replace('-', "_"))
            .replace("{{name}}", name)
    };
    let manifest = [template!("manifest.toml"), template.build].concat();
    let others = COMMON.iter().chain(template.files);
    std::iter::once((format!("{name}.toml"), manifest.as_str()))
        .chain(others.map(|(path, text)| ((*path).to_owned(), *text)))
        .map(|(path, text)| TemplateFile { path, text: fill(text) })
        .collect()
}
