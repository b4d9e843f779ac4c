//! The key of encryption at rest: 32 bytes in base64, from a file for its owner alone or from a secret.

use crate::config::KeySource;
use crate::secrets::KeptSecrets;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use fusebox_faces::cli::Failed;
use fusebox_manifest::ENCRYPTION_KEY;
use fusebox_manifest::diagnostic::Diagnostic;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// Reads the key.
///
/// # Errors
/// Why it is not to be had. The message never holds a part of it.
pub(crate) fn key(source: &KeySource, secrets: &KeptSecrets) -> Result<[u8; 32], Failed> {
    let (place, text) = match source {
        KeySource::File(path) => (path.display().to_string(), read(path)),
        KeySource::Secret(name) => (format!("secret `{name}`"), secrets.own(name)),
    };
    let key = text.and_then(|text| decode(&text));
    key.map_err(|reason| {
        Failed::Findings(vec![
            Diagnostic::error(ENCRYPTION_KEY, format!("the key of encryption cannot be used: {place}: {reason}"))
                .help("`encryption.key` names a file or a secret with 32 bytes in base64; `openssl rand -base64 32` makes some"),
        ])
    })
}

fn read(path: &Path) -> Result<String, String> {
    let found = fs::metadata(path).map_err(|error| error.to_string())?;
    if found.permissions().mode() & 0o077 != 0 {
        return Err(format!("others may read it; type `chmod 600 {}`", path.display()));
    }
    fs::read_to_string(path).map_err(|error| error.to_string())
}

fn decode(text: &str) -> Result<[u8; 32], String> {
    let bytes = STANDARD
        .decode(text.trim())
        .map_err(|_| "it is not base64".to_owned())?;
    let length = bytes.len();
    bytes
        .try_into()
        .map_err(|_| format!("it has {length} bytes instead of 32"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::secrets::Source;
    use std::collections::BTreeMap;
    use std::fs::Permissions;

    const KEY: &str = "AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8=";

    fn secrets(value: &str) -> KeptSecrets {
        let values = BTreeMap::from([("DB".to_owned(), value.to_owned())]);
        KeptSecrets::new("secrets.toml".into(), Source::Environment(values), BTreeMap::new())
    }

    fn reason(source: &KeySource, value: &str) -> String {
        match key(source, &secrets(value)).unwrap_err() {
            Failed::Findings(findings) => {
                assert_eq!(findings[0].code, "FB0308");
                findings[0].message.clone()
            }
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_secret_or_a_private_file_is_a_key() {
        let expected: [u8; 32] = std::array::from_fn(|at| u8::try_from(at).unwrap());
        let secret = KeySource::Secret("DB".to_owned());
        assert_eq!(key(&secret, &secrets(KEY)).unwrap(), expected);
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("db.key");
        fs::write(&path, format!("{KEY}\n")).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(key(&KeySource::File(path.clone()), &secrets("")).unwrap(), expected);
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(reason(&KeySource::File(path), "").contains("chmod 600"));
    }

    #[test]
    fn what_is_no_key_is_said_without_showing_it() {
        let secret = KeySource::Secret("DB".to_owned());
        for (value, said) in [("c2hvcnQ=", "5 bytes"), ("not base64!", "not base64"), ("", "0 bytes")] {
            let reason = reason(&secret, value);
            assert!(
                reason.contains(said) && (value.is_empty() || !reason.contains(value)),
                "{reason}"
            );
        }
        assert!(reason(&KeySource::Secret("OTHER".to_owned()), KEY).contains("FUSEBOX_SECRET_OTHER"));
        assert!(reason(&KeySource::File("none/such.key".into()), "").contains("none/such.key"));
    }
}
