//! Holds (`docs/formats/retention.md`): what must not be erased or disposed of until somebody lifts the hold. Edge: says what a hold is over; that it
//! is respected is for `erase` and `dispose` to see to.

use crate::catalog::{ActRow, Catalog, HoldRow};
use crate::engine::Engine;
use crate::environment::draw;
use crate::error::{Error, Result};
use crate::limits;
use crate::own::{self, OwnRecord};
use crate::reader::Reader;
use crate::wrap::Purpose;
use minutebook_record::cbor;
use minutebook_verify::keys::{Cipher, Secret, derive};
use minutebook_verify::{Id, hex, unhex};
use serde::{Deserialize, Serialize};
use zeroize::Zeroize;

const PLACED: &str = "hold";
const LIFTED: &str = "hold-lifted";

/// What a hold is over: records to which all conditions apply that are given.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldFilter {
    /// A subject, as it stands in records.
    pub subject: Option<String>,
    /// A model's name, or name and version as `name@version`.
    pub model: Option<String>,
    /// A retention class.
    pub class: Option<String>,
    /// Not before, ns since 1970, by event time.
    #[serde(default, rename = "since", with = "moment")]
    pub from_ns: Option<i64>,
    /// Not after.
    #[serde(default, rename = "until", with = "moment")]
    pub to_ns: Option<i64>,
}

/// A hold that is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct HoldRequest {
    /// A short name, unique among the holds in force. Recorded, so it names no person.
    pub name: String,
    /// Why. Recorded, so it names no person.
    pub reason: String,
    /// By whose order.
    pub by: String,
    /// What it is over.
    #[serde(default)]
    pub filter: HoldFilter,
}

/// A hold in force. Names no subject.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hold {
    /// Names it, 32 hex digits.
    pub id: String,
    /// Its name.
    pub name: String,
    /// Why.
    pub reason: String,
    /// By whose order.
    pub by: String,
    /// When it was placed, RFC 3339.
    pub at: String,
    /// Whether it is over one subject only.
    pub one_subject: bool,
    /// That subject's number, once a record is about it.
    pub subject: Option<u64>,
    /// A model's name.
    pub model: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// A retention class.
    pub class: Option<String>,
    /// Not before, ns since 1970.
    #[serde(default, rename = "since", with = "moment")]
    pub from_ns: Option<i64>,
    /// Not after.
    #[serde(default, rename = "until", with = "moment")]
    pub to_ns: Option<i64>,
}

/// Times as RFC 3339.
mod moment {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(ns: &Option<i64>, to: S) -> Result<S::Ok, S::Error> {
        let time = ns.and_then(|ns| jiff::Timestamp::from_nanosecond(ns.into()).ok());
        time.map(|time| time.to_string()).serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<i64>, D::Error> {
        let wrong = || serde::de::Error::custom("a time is RFC 3339, of the years 1678 to 2262");
        let Some(text) = Option::<String>::deserialize(from)? else { return Ok(None) };
        let time: jiff::Timestamp = text.parse().map_err(|_| wrong())?;
        i64::try_from(time.as_nanosecond()).map(Some).map_err(|_| wrong())
    }
}

/// What is stored of a hold, encrypted.
#[derive(Serialize, Deserialize)]
struct Stored {
    name: String,
    reason: String,
    by: String,
    at: String,
    lookup: Option<String>,
    model: Option<String>,
    version: Option<String>,
    class: Option<String>,
    from_ns: Option<i64>,
    to_ns: Option<i64>,
}

/// What the record of a hold says, between the act and the record. Names no person.
#[derive(Serialize, Deserialize)]
struct HoldAct {
    hold: Id,
    why: String,
    by: String,
    name: String,
    subjects: Option<Vec<u64>>,
    model: Option<String>,
    version: Option<String>,
    class: Option<String>,
    from_ns: Option<i64>,
    to_ns: Option<i64>,
}

/// What holds are asked about.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Held<'a> {
    /// The class.
    pub(crate) class: &'a str,
    /// First and last event that it may have, ns since 1970.
    pub(crate) times: (i64, i64),
    /// Subject numbers; none where they are not looked at, so that any may be among them.
    pub(crate) subjects: Option<&'a [u64]>,
    /// Model and version; none where they cannot be read or are not there, so that it may be about any.
    pub(crate) model: Option<(&'a str, &'a str)>,
}

impl Hold {
    /// Whether a record, or one of many, may be one that it is over.
    pub(crate) fn may_be_over(&self, held: &Held<'_>) -> bool {
        let of_class = self.class.as_ref().is_none_or(|class| class == held.class);
        let in_time = self.from_ns.is_none_or(|from| held.times.1 >= from)
            && self.to_ns.is_none_or(|to| held.times.0 <= to);
        let of_subject = match (self.one_subject, held.subjects) {
            (true, Some(subjects)) => self.subject.is_some_and(|subject| subjects.contains(&subject)),
            (true, None) => self.subject.is_some(),
            (false, _) => true,
        };
        let of_model = held.model.is_none_or(|(name, version)| {
            self.model.as_ref().is_none_or(|model| model == name)
                && self.version.as_ref().is_none_or(|known| known == version)
        });
        of_class && in_time && of_subject && of_model
    }

    /// Whether it can only be told from the records themselves what it is over.
    pub(crate) fn asks_for_contents(&self) -> bool {
        self.one_subject || self.model.is_some()
    }
}

impl Engine {
    /// Places a hold: from now on nothing that it is over is erased or disposed of. A record says so. Durable on return.
    ///
    /// # Errors
    /// [`Error::Request`] when it has no condition or a wrong one, or when a hold of that name is in force: nothing is changed then.
    /// Otherwise as [`Engine::seal_round`].
    pub async fn place_hold(&mut self, request: &HoldRequest) -> Result<Hold> {
        self.check_running()?;
        check(request)?;
        self.seal().await?;
        let reader = Reader::open(&self.place).await?;
        let known = reader.holds().await;
        reader.close().await;
        if known?.iter().any(|hold| hold.name == request.name) {
            let what =
                format!("a hold named `{}` is in force already: lift it, or use another name", request.name);
            return Err(Error::Request(what));
        }
        let result = self.begin_hold(request).await;
        let hold = self.stop_on_error(result)?;
        self.seal().await?;
        Ok(hold)
    }

    async fn begin_hold(&mut self, request: &HoldRequest) -> Result<Hold> {
        let filter = &request.filter;
        let lookup = filter.subject.as_ref().map(|subject| self.lookup.lookup(subject.as_bytes()));
        let (model, version) = model_and_version(filter.model.as_deref());
        let stored = Stored {
            name: request.name.clone(),
            reason: request.reason.clone(),
            by: request.by.clone(),
            at: self.environment.rfc3339(),
            lookup: lookup.map(|lookup| hex(&lookup)),
            model,
            version,
            class: filter.class.clone(),
            from_ns: filter.from_ns,
            to_ns: filter.to_ns,
        };
        let id: Id = draw(self.environment.random.as_ref())?;
        let hold = stored.hold(&id, &self.catalog).await?;
        let act = HoldAct {
            hold: id,
            why: hold.reason.clone(),
            by: hold.by.clone(),
            name: hold.name.clone(),
            subjects: hold.one_subject.then(|| hold.subject.into_iter().collect()),
            model: hold.model.clone(),
            version: hold.version.clone(),
            class: hold.class.clone(),
            from_ns: hold.from_ns,
            to_ns: hold.to_ns,
        };
        let nonce = draw(self.environment.random.as_ref())?;
        let row = HoldRow { id, body: stored.close(&self.file.id, &self.lookup_key().await?, &id, nonce) };
        self.catalog.add_hold(&row, &act.row(PLACED, id)).await?;
        Ok(hold)
    }

    /// Lifts a hold, by its id or its name: what it was over is subject to the other rules again. A record says so. Durable on return.
    ///
    /// # Errors
    /// [`Error::NoHold`] when there is none. Otherwise as [`Engine::seal_round`].
    pub async fn lift_hold(&mut self, id_or_name: &str, reason: &str, by: &str) -> Result<Hold> {
        self.check_running()?;
        short("the reason", reason)?;
        short("by whom", by)?;
        self.seal().await?;
        let reader = Reader::open(&self.place).await?;
        let known = reader.holds().await;
        reader.close().await;
        let hold = known?.into_iter().find(|hold| hold.id == id_or_name || hold.name == id_or_name);
        let hold = hold.ok_or(Error::NoHold)?;
        // INVARIANT: written from an id.
        let id: Id = unhex(&hold.id).expect("an id");
        let act = HoldAct {
            hold: id,
            why: reason.to_owned(),
            by: by.to_owned(),
            name: hold.name.clone(),
            subjects: None,
            model: None,
            version: None,
            class: None,
            from_ns: None,
            to_ns: None,
        };
        let row = act.row(LIFTED, draw(self.environment.random.as_ref())?);
        let result = self.catalog.lift_hold(&id, &row).await;
        self.stop_on_error(result)?;
        self.seal().await?;
        Ok(hold)
    }

    async fn lookup_key(&self) -> Result<Secret> {
        let wrapped = self.catalog.meta("lookup_key").await?.unwrap_or_default();
        let key = self.keys.unwrap(Purpose::Lookup, &wrapped);
        key.ok_or_else(|| Error::KeysDoNotMatch {
            what: "key-encryption key",
            folder: self.keys.path().to_owned(),
        })
    }
}

impl Reader {
    /// The holds in force, the oldest first.
    ///
    /// # Errors
    /// When the catalog cannot be read, or a hold in it does not open.
    pub async fn holds(&self) -> Result<Vec<Hold>> {
        let rows = self.catalog().holds().await?;
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let key = self.lookup_key().await?;
        let mut holds = Vec::with_capacity(rows.len());
        for row in rows {
            let stored =
                Stored::open(&self.trail().id, &key, &row).ok_or_else(|| Error::CatalogUnusable {
                    path: self.place().catalog(),
                    what: format!("hold {} in it does not open", hex(&row.id)),
                })?;
            holds.push(stored.hold(&row.id, self.catalog()).await?);
        }
        holds.sort_by(|a, b| (&a.at, &a.id).cmp(&(&b.at, &b.id)));
        Ok(holds)
    }

    /// The key of the hashes by which subjects are found.
    pub(crate) async fn lookup_key(&self) -> Result<Secret> {
        let wrapped = self.catalog().meta("lookup_key").await?.unwrap_or_default();
        let mut folder = self.keys().folder();
        for attempt in 0..2 {
            if let Some(key) = folder.unwrap(Purpose::Lookup, &wrapped) {
                return Ok(key);
            }
            // The key-encryption key may have been replaced since the folder was read.
            if attempt == 0 {
                folder = std::sync::Arc::new(folder.reopen()?);
            }
        }
        Err(Error::KeysDoNotMatch { what: "key-encryption key", folder: folder.path().to_owned() })
    }
}

impl Stored {
    async fn hold(&self, id: &Id, catalog: &Catalog) -> Result<Hold> {
        let lookup = self.lookup.as_deref().and_then(unhex::<32>);
        let subject = match lookup {
            Some(lookup) => catalog.subjects(&[lookup]).await?.pop().map(|row| row.number),
            None => None,
        };
        Ok(Hold {
            id: hex(id),
            name: self.name.clone(),
            reason: self.reason.clone(),
            by: self.by.clone(),
            at: self.at.clone(),
            one_subject: lookup.is_some(),
            subject,
            model: self.model.clone(),
            version: self.version.clone(),
            class: self.class.clone(),
            from_ns: self.from_ns,
            to_ns: self.to_ns,
        })
    }

    fn close(&self, trail: &Id, lookup_key: &Secret, id: &Id, nonce: [u8; 12]) -> Vec<u8> {
        // INVARIANT: texts and numbers always serialise.
        let mut clear = toml::to_string(self).expect("a hold").into_bytes();
        cipher(lookup_key, id).seal_with(nonce, &associated(trail, id), &mut clear);
        [&nonce[..], &clear].concat()
    }

    fn open(trail: &Id, lookup_key: &Secret, row: &HoldRow) -> Option<Self> {
        let (nonce, sealed) = row.body.split_first_chunk::<12>()?;
        let mut sealed = sealed.to_vec();
        let clear =
            cipher(lookup_key, &row.id).open_with(*nonce, &associated(trail, &row.id), &mut sealed)?;
        let stored = std::str::from_utf8(clear).ok().and_then(|text| toml::from_str(text).ok());
        sealed.zeroize();
        stored
    }
}

/// Whether a row opens: for `doctor`.
pub(crate) fn opens(trail: &Id, lookup_key: &Secret, id: Id, body: &[u8]) -> bool {
    Stored::open(trail, lookup_key, &HoldRow { id, body: body.to_vec() }).is_some()
}

fn cipher(lookup_key: &Secret, id: &Id) -> Cipher {
    Cipher::new(&derive(lookup_key, "hold", id))
}

fn associated(trail: &Id, id: &Id) -> Vec<u8> {
    let mut out = Vec::with_capacity(64);
    cbor::write_array(&mut out, 3);
    cbor::write_text(&mut out, "minutebook/hold/1");
    cbor::write_bytes(&mut out, trail);
    cbor::write_bytes(&mut out, id);
    out
}

fn model_and_version(model: Option<&str>) -> (Option<String>, Option<String>) {
    match model
        .map(|model| model.split_once('@').map_or((model, None), |(name, version)| (name, Some(version))))
    {
        None => (None, None),
        Some((name, version)) => (Some(name.to_owned()), version.map(str::to_owned)),
    }
}

/// Whether a text is one that a record of the engine may have.
pub(crate) fn short(what: &str, text: &str) -> Result<()> {
    if text.trim().is_empty() {
        return Err(Error::Request(format!("{what} is empty: say it, it is recorded")));
    }
    if text.len() > limits::GIVEN_TEXT_BYTES {
        let most = limits::GIVEN_TEXT_BYTES;
        return Err(Error::Request(format!("{what} has {} bytes, more than {most}: be shorter", text.len())));
    }
    Ok(())
}

fn check(request: &HoldRequest) -> Result<()> {
    let wrong = |what: &str| Err(Error::Request(what.to_owned()));
    short("the hold's name", &request.name)?;
    short("the reason", &request.reason)?;
    short("by whom", &request.by)?;
    let filter = &request.filter;
    if *filter == HoldFilter::default() {
        return wrong(
            "the hold is over nothing: give a subject, a model, a class or a time; `from` 1970 is over everything",
        );
    }
    if filter.subject.as_deref() == Some("") || filter.model.as_deref() == Some("") {
        return wrong("a subject or model without a name is none: leave it out, or name it");
    }
    if let Some(class) = &filter.class
        && minutebook_record::ClassName::new(class).is_err()
    {
        return Err(Error::Request(format!("`{class}` is no retention class")));
    }
    if filter.from_ns.zip(filter.to_ns).is_some_and(|(from, to)| from > to) {
        return wrong("the hold ends before it begins");
    }
    Ok(())
}

impl HoldAct {
    fn row(&self, kind: &str, id: Id) -> ActRow {
        // INVARIANT: texts and numbers always serialise.
        ActRow { id, kind: kind.into(), body: toml::to_string(self).expect("an act").into_bytes() }
    }
}

/// Whether an act is one of a hold, and well formed.
pub(crate) fn is_act(act: &ActRow) -> Option<bool> {
    let ours = act.kind == PLACED || act.kind == LIFTED;
    ours.then(|| read(act).is_some())
}

fn read(act: &ActRow) -> Option<HoldAct> {
    toml::from_str(std::str::from_utf8(&act.body).ok()?).ok()
}

/// The record of an act of this module; none for acts of others.
pub(crate) fn act_record(act: &ActRow, now_ns: i64) -> Option<Result<OwnRecord>> {
    is_act(act)?;
    let Some(said) = read(act) else {
        return Some(Err(Error::Request(
            "an act in the catalog is malformed: run `minutebook doctor --deep`".into(),
        )));
    };
    let said = own::HoldSaid {
        hold: said.hold,
        what: if act.kind == PLACED { "placed" } else { "lifted" },
        name: &said.name,
        reason: &said.why,
        by: &said.by,
        subjects: said.subjects.as_deref(),
        texts: [("model", &said.model), ("version", &said.version), ("class", &said.class)]
            .map(|(name, text)| (name, text.as_deref())),
        times: [("from", said.from_ns), ("to", said.to_ns)],
    };
    Some(own::hold(act.id, &said, now_ns))
}
