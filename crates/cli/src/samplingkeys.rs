//! The file of a trail's sampling keys (`docs/formats/policy.md`, "Disclosing the keys"): writing and reading it. Edge: a file of secrets;
//! no error shows any of it.

use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use minutebook_verify::hex;
use minutebook_verify::keys::Secret;
use minutebook_verify::sampling::SamplingKey;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

use crate::failure::{Exit, Failure, Result};

const FORMAT: &str = "minutebook/sampling-keys/1";

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: String,
    trail: String,
    #[serde(default)]
    sampling: Vec<Entry>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Entry {
    key: Zeroizing<String>,
}

/// The text of the file for these keys.
pub(crate) fn render(trail: &[u8; 16], keys: &[Secret]) -> Result<Zeroizing<String>> {
    let entry = |key: &Secret| Entry { key: Zeroizing::new(BASE64.encode(key.expose())) };
    let file = File { format: FORMAT.into(), trail: hex(trail), sampling: keys.iter().map(entry).collect() };
    toml::to_string(&file).map(Zeroizing::new).map_err(|_| Failure::Told {
        exit: Exit::Trail,
        what: "the keys cannot be written as a file".into(),
        to_do: None,
    })
}

/// Reads the file.
///
/// # Errors
///
/// When it cannot be read, or is not what the format says.
pub(crate) fn read(path: &Path) -> Result<Vec<SamplingKey>> {
    let text = std::fs::read_to_string(path).map(Zeroizing::new);
    let text = text.map_err(|error| Failure::file("read", path, &error))?;
    parse(&text).ok_or_else(|| Failure::Told {
        exit: Exit::Trail,
        what: format!("`{}` is no file of sampling keys of format `{FORMAT}`", path.display()),
        to_do: Some("`minutebook key export --sampling` writes one".into()),
    })
}

fn parse(text: &str) -> Option<Vec<SamplingKey>> {
    let file: File = toml::from_str(text).ok().filter(|file: &File| file.format == FORMAT)?;
    let key = |entry: &Entry| {
        let bytes = Zeroizing::new(BASE64.decode(&*entry.key).ok()?);
        Some(SamplingKey::new(&Secret::new(bytes.as_slice().try_into().ok()?)))
    };
    file.sampling.iter().map(key).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let keys = [Secret::new([1; 32]), Secret::new([2; 32])];
        let read = parse(&render(&[9; 16], &keys).unwrap()).unwrap();
        let digests: Vec<[u8; 32]> = read.iter().map(SamplingKey::digest).collect();
        assert_eq!(digests, keys.map(|key| SamplingKey::new(&key).digest()));
        assert!(parse("format = \"minutebook/sampling-keys/2\"\ntrail = \"\"\n").is_none());
    }
}
