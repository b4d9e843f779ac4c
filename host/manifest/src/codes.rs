//! The codes of all findings, in one table; each has a page in `explain/`.

/// A page of `fusebox explain`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Page {
    /// The code, `FBnnnn`.
    pub code: &'static str,
    /// The page as Markdown: a heading, what it means, and where a file is at fault an example of wrong and right.
    pub text: &'static str,
}

impl Page {
    /// Its heading: what is wrong, in a few words.
    #[must_use]
    pub fn title(&self) -> &'static str {
        self.text
            .lines()
            .next()
            .map_or("", |line| line.trim_start_matches("# "))
    }
}

/// Defines a constant for each code and the table of their pages: a code without a page does not compile.
macro_rules! codes {
    ($($(#[$doc:meta])* $visibility:vis $name:ident = $code:literal;)*) => {
        $($(#[$doc])* $visibility const $name: &str = $code;)*
        const PAGES: &[Page] = &[$(Page { code: $name, text: include_str!(concat!("../explain/", $code, ".md")) }),*];
    };
}

codes! {
    pub(crate) NOT_TOML = "FB0101";
    pub(crate) UNKNOWN_KEY = "FB0102";
    pub(crate) MISSING_KEY = "FB0103";
    pub(crate) WRONG_TYPE = "FB0104";
    pub(crate) BAD_NAME = "FB0105";
    pub(crate) BAD_DURATION = "FB0106";
    pub(crate) BAD_SIZE = "FB0107";
    pub(crate) BAD_RATE = "FB0108";
    pub(crate) OUT_OF_RANGE = "FB0109";
    pub(crate) UNKNOWN_WORD = "FB0110";
    pub(crate) BAD_HOST = "FB0111";
    pub(crate) BAD_PATTERN = "FB0112";
    pub(crate) BAD_HEADER = "FB0113";
    pub(crate) BAD_VERSION = "FB0114";
    /// The component is not to be had where the manifest says.
    pub BAD_COMPONENT = "FB0115";
    pub(crate) BAD_NETWORK_RULE = "FB0116";
    pub(crate) TOO_LARGE = "FB0117";
    pub(crate) BAD_TEXT = "FB0118";

    pub(crate) UNKNOWN_PRESET = "FB0201";
    pub(crate) DURABILITY_AGAINST_LEVEL = "FB0202";
    pub(crate) SHORT_PROBE_WINDOW = "FB0203";
    pub(crate) HOST_IN_TWO_SERVICES = "FB0204";
    pub(crate) DEADLINE_BELOW_TIMEOUT = "FB0205";
    pub(crate) CREDENTIAL_IN_MANIFEST = "FB0206";
    pub(crate) UNKNOWN_SHARED_SERVICE = "FB0207";
    /// Two things have one name.
    pub NAMED_TWICE = "FB0208";
    pub(crate) OCI_REFERENCE = "FB0210";
    pub(crate) SECRET_IN_CLEAR = "FB0211";
    pub(crate) SECRET_FOR_GUEST = "FB0212";
    pub(crate) KEY_NOBODY_HONOURS = "FB0213";
    pub(crate) RETRY_FROM_AGAINST_LEVEL = "FB0214";
    pub(crate) BREAKER_NEVER_TRIPS = "FB0215";
    pub(crate) LIMITS_CROSS = "FB0216";
    pub(crate) INTERRUPT_NOT_GRANTED = "FB0217";
    pub(crate) NEEDS_JOURNAL = "FB0218";

    pub(crate) ABOVE_CEILING = "FB0301";
    pub(crate) SECRET_NOT_FOR_HOST = "FB0302";
    pub(crate) DATABASE = "FB0303";
    pub(crate) SECRET_SOURCE = "FB0304";
    pub(crate) UNKNOWN_VARIABLE = "FB0305";
    pub(crate) WIDE_NETWORK_RULE = "FB0306";
    pub(crate) PRIVATE_HOST = "FB0307";
    /// The key of encryption at rest is not to be had, or is none.
    pub ENCRYPTION_KEY = "FB0308";
    pub(crate) BLOBS = "FB0309";

    /// A function that a model would see without a description.
    pub UNDESCRIBED_FUNCTION = "FB0401";
    /// A parameter that a model would see without a description.
    pub UNDESCRIBED_PARAM = "FB0402";
    pub(crate) LONG_MODEL_NAME = "FB0403";
    pub(crate) SAME_MODEL_NAME = "FB0404";
    /// The WIT source cannot be read, or does not match the component.
    pub BAD_WIT = "FB0405";
    pub(crate) UNKNOWN_PARAM = "FB0406";

    /// The bytes are not a WebAssembly component.
    pub NOT_A_COMPONENT = "FB0501";
    /// A core module, not a component.
    pub CORE_MODULE = "FB0502";
    /// The component is larger than the host takes.
    pub COMPONENT_TOO_LARGE = "FB0503";
    /// An import that nobody provides.
    pub MISSING_IMPORT = "FB0504";
    /// Compilation ran out of memory or time.
    pub COMPILER_EXHAUSTED = "FB0505";
    /// No function can be called.
    pub NO_FUNCTION = "FB0506";
    /// The component needs more than the limits allow.
    pub NEEDS_MORE = "FB0507";
    /// The folder of compiled code cannot be trusted.
    pub CACHE_FOLDER = "FB0508";
    /// The machine refuses what the sandbox needs.
    pub SANDBOX_REFUSED = "FB0509";

    pub(crate) NOT_EXPORTED = "FB0601";
    pub(crate) UNKNOWN_ERROR_CASE = "FB0602";
    pub(crate) NAMES_LEFT_OUT = "FB0603";
    pub(crate) LEFT_OUT = "FB0604";
    pub(crate) AMBIGUOUS_FUNCTION = "FB0605";
    pub(crate) NO_ERROR_TYPE = "FB0606";
    pub(crate) NOT_DEPLOYED = "FB0607";
    pub(crate) NO_EXPORTER = "FB0608";
    pub(crate) TYPES_DIFFER = "FB0609";
    pub(crate) AMBIGUOUS_EXPORTER = "FB0610";
    pub(crate) NO_SUCH_CALL = "FB0611";
    /// It imports what its manifest does not grant.
    pub UNGRANTED_IMPORT = "FB0612";
}

/// The page of a code, whatever its letters' case.
#[must_use]
pub fn explain(code: &str) -> Option<&'static Page> {
    PAGES.iter().find(|page| page.code.eq_ignore_ascii_case(code))
}

/// All pages, by code.
#[must_use]
pub fn codes() -> &'static [Page] {
    PAGES
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::component::tests::shape;
    use crate::diagnostic::Diagnostic;
    use crate::{HostFile, Manifest, Presets, Words};

    /// The examples of a page: wrong, then right.
    fn examples(page: &Page) -> Vec<&'static str> {
        let blocks = page.text.split("```toml\n").skip(1);
        blocks.map(|block| block.split("```").next().unwrap()).collect()
    }

    /// The findings of an example: a manifest, or files under comments with their names.
    fn findings(example: &str) -> Vec<Diagnostic> {
        let (host, manifest) = match example.strip_prefix("# fusebox.toml\n") {
            Some(rest) => rest.split_once("# search.toml\n").unwrap_or((rest, "")),
            None => ("", example),
        };
        let presets = Presets::embedded();
        let (settings, mut found) = HostFile::read("fusebox.toml", host, &presets);
        if host.is_empty() || !manifest.is_empty() {
            let head = if manifest.contains("component =") {
                ""
            } else {
                "name = \"search\"\ncomponent = \"search.wasm\"\n"
            };
            let text = format!("{head}{manifest}");
            let mut draft = Manifest::draft("search.toml", &text, &presets, &settings.unwrap_or_default());
            let component = checked(manifest);
            draft.check_component(&component, &Words::default());
            draft.check_links(&component, &crate::links::tests::deployed);
            found.extend(draft.finish().1);
        }
        found
    }

    /// The component that examples are checked against; those of other functions are about the manifest alone.
    fn checked(manifest: &str) -> fusebox_core::component::ComponentShape {
        let mut shape = shape();
        if manifest.contains("email.list") {
            shape
                .tools
                .push(crate::links::tests::import("acme:email/api@1.0.0", &["send"]));
        }
        for name in ["send", "transfer", "delete-index"] {
            if manifest.contains(&format!("[functions.{name}]")) {
                shape.functions.push(fusebox_core::component::FunctionShape {
                    name: name.to_owned(),
                    ..shape.functions[0].clone()
                });
            }
        }
        shape
    }

    #[test]
    fn each_page_has_a_heading_and_its_examples_are_wrong_and_right() {
        for page in codes() {
            assert!(
                page.text.starts_with("# ") && page.text.lines().count() > 2,
                "{}",
                page.code
            );
            let [wrong, right] = match examples(page).as_slice() {
                [] => continue,
                [wrong, right] => [*wrong, *right],
                _ => panic!("{} has one example", page.code),
            };
            let codes = |found: &[Diagnostic]| found.iter().map(|d| d.code).collect::<Vec<_>>();
            let found = findings(wrong);
            assert!(
                codes(&found).contains(&page.code),
                "{} is not found in its own example: {found:?}",
                page.code
            );
            let found = findings(right);
            let left = found
                .iter()
                .any(|finding| finding.is_error() || (finding.code == page.code && !about_others(finding)));
            assert!(!left, "{} is found in what is right: {found:?}", page.code);
        }
    }

    /// What is said about the functions that an example does not mention.
    fn about_others(finding: &Diagnostic) -> bool {
        ["`api.get`", "`admin.get`"]
            .iter()
            .any(|name| finding.message.contains(name))
    }

    #[test]
    fn codes_are_found_in_any_case_and_stand_in_order() {
        assert_eq!(explain("fb0106").unwrap().title(), "A duration that cannot be read");
        assert_eq!(explain("FB9999"), None);
        assert!(codes().is_sorted_by(|a, b| a.code < b.code));
    }

    #[test]
    fn every_page_of_the_folder_has_a_code() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/explain");
        let mut found: Vec<_> = std::fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        found.sort();
        assert_eq!(
            found,
            codes()
                .iter()
                .map(|page| format!("{}.md", page.code))
                .collect::<Vec<_>>()
        );
    }
}
