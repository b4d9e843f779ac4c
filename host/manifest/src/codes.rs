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
    pub(crate) BAD_COMPONENT = "FB0115";
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
    pub(crate) NAMED_TWICE = "FB0208";
    pub(crate) NOT_AVAILABLE = "FB0209";
    pub(crate) OCI_REFERENCE = "FB0210";
    pub(crate) SECRET_IN_CLEAR = "FB0211";
    pub(crate) SECRET_FOR_GUEST = "FB0212";
    pub(crate) KEY_NOBODY_HONOURS = "FB0213";
    pub(crate) RETRY_AGAINST_LEVEL = "FB0214";
    pub(crate) BREAKER_NEVER_TRIPS = "FB0215";
    pub(crate) LIMITS_CROSS = "FB0216";

    pub(crate) ABOVE_CEILING = "FB0301";
    pub(crate) SECRET_NOT_FOR_HOST = "FB0302";
    pub(crate) POSTGRES = "FB0303";
    pub(crate) SECRET_SOURCE = "FB0304";
    pub(crate) UNKNOWN_VARIABLE = "FB0305";
    pub(crate) WIDE_NETWORK_RULE = "FB0306";
    pub(crate) PRIVATE_HOST = "FB0307";

    pub(crate) UNDESCRIBED_FUNCTION = "FB0401";
    pub(crate) UNDESCRIBED_PARAM = "FB0402";
    pub(crate) LONG_MODEL_NAME = "FB0403";
    pub(crate) SAME_MODEL_NAME = "FB0404";
    pub(crate) BAD_WIT = "FB0405";
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

    pub(crate) NOT_EXPORTED = "FB0601";
    pub(crate) UNKNOWN_ERROR_CASE = "FB0602";
    pub(crate) NAMES_LEFT_OUT = "FB0603";
    pub(crate) LEFT_OUT = "FB0604";
    pub(crate) AMBIGUOUS_FUNCTION = "FB0605";
    pub(crate) NO_ERROR_TYPE = "FB0606";
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
