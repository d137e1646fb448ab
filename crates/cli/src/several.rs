//! The trails that one `serve` is to serve, as they stand on the command line. Edge: names and folders; nothing is opened here.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use minutebook_server::{TRAILS_MAX, TrailName};
use minutebook_trail::Place;

use crate::failure::{Exit, Failure, Result};
use crate::options::Options;

/// A trail, and its name in paths.
pub(crate) struct Trail {
    /// Among several each has one.
    pub(crate) name: Option<TrailName>,
    pub(crate) place: Place,
}

/// Reads `DIR` or `NAME=DIR`, each a trail; that of the options where there is none.
pub(crate) fn read(options: &Options, arguments: &[OsString]) -> Result<Vec<Trail>> {
    let own = [options.trail.clone().into_os_string()];
    let arguments = if arguments.is_empty() { &own } else { arguments };
    if arguments.len() > TRAILS_MAX {
        return Err(wrong(
            format!("one server serves {TRAILS_MAX} trails at most, not {}", arguments.len()),
            None,
        ));
    }
    let mut trails: Vec<Trail> = Vec::new();
    for argument in arguments {
        let (name, folder) = taken_apart(argument);
        let place = options.place_in(folder);
        let name = name.or_else(|| TrailName::of_folder(&place.folder));
        let trail =
            if arguments.len() == 1 { Trail { name, place } } else { one_of_several(options, name, place)? };
        if let Some(other) = trails.iter().find(|other| other.name == trail.name) {
            let name = trail.name.iter().map(ToString::to_string).collect::<String>();
            let (one, two) = (other.place.folder.display(), trail.place.folder.display());
            let what = format!("two trails are named `{name}`: `{one}` and `{two}`");
            return Err(wrong(what, Some("give one another name: NAME=DIR")));
        }
        if let Some(other) = trails.iter().find(|other| is_same(&other.place.folder, &trail.place.folder)) {
            let (one, two) = (other.place.folder.display(), trail.place.folder.display());
            return Err(wrong(format!("`{one}` and `{two}` are the same folder"), Some("name it once")));
        }
        trails.push(trail);
    }
    Ok(trails)
}

/// A trail with its name and, where a key folder is given, its own one in there.
fn one_of_several(options: &Options, name: Option<TrailName>, place: Place) -> Result<Trail> {
    let Some(name) = name else {
        let what = format!("`{}` does not say what the trail is called in paths", place.folder.display());
        let to_do = "name it: NAME=DIR, of letters, digits, `-`, `_` and `.`";
        return Err(wrong(what, Some(to_do)));
    };
    // Keys of two trails in one folder would be those of one.
    let keys = options.keys.is_some().then(|| place.keys.as_deref().map(|keys| keys.join(name.as_str())));
    Ok(Trail { name: Some(name), place: Place { keys: keys.flatten(), ..place } })
}

/// The name before `=`, when what is there is one, and the folder. `./a=b` is a folder.
fn taken_apart(argument: &OsString) -> (Option<TrailName>, PathBuf) {
    let bytes = argument.as_bytes();
    let name = bytes.iter().position(|byte| *byte == b'=').and_then(|at| {
        let name = TrailName::parse(std::str::from_utf8(&bytes[..at]).ok()?).ok()?;
        Some((name, OsString::from_vec(bytes[at + 1..].to_vec()).into()))
    });
    match name {
        Some((name, folder)) => (Some(name), folder),
        None => (None, argument.into()),
    }
}

fn is_same(one: &Path, two: &Path) -> bool {
    one == two || matches!((one.canonicalize(), two.canonicalize()), (Ok(one), Ok(two)) if one == two)
}

fn wrong(what: String, to_do: Option<&str>) -> Failure {
    Failure::Told { exit: Exit::Input, what, to_do: to_do.map(str::to_owned) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_stands_before_an_equals_sign_is_a_name_when_it_can_be_one() {
        let apart = |text: &str| {
            let (name, folder) = taken_apart(&text.into());
            (name.map(|name| name.to_string()), folder.to_str().unwrap().to_owned())
        };
        assert_eq!(apart("credit=/srv/a"), (Some("credit".into()), "/srv/a".into()));
        assert_eq!(apart("a=b=c"), (Some("a".into()), "b=c".into()));
        for folder in ["/srv/a", "./a=b", "/srv/x=y", "=a", "a b=c", ".=a"] {
            assert_eq!(apart(folder), (None, folder.into()), "{folder}");
        }
    }
}
