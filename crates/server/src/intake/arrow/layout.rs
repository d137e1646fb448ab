//! Which column stands for what of a record: fields, entries of its maps, members, or what a trail adds. Edge: names of columns to places in a
//! record; what members may say is decided where records in JSON are read.

use minutebook_present::json::{Draft, DraftReader, Fields, Given, Problem as Wrong, ReadAt, Tree};
use minutebook_record::cbor;

use super::Defaults;
use super::batch::Array;
use super::column::{Column, Sort, named};
use super::value;

/// Columns that stand for a member of a record each, and the member.
const MEMBERS: [&str; 13] = [
    "kind",
    "class",
    "model",
    "version",
    "artifact",
    "subject",
    "subjects",
    "actor",
    "time",
    "duration_ns",
    "clock_error_ns",
    "status",
    "links",
];

/// And those within another, or of hex digits.
const INNER: [&str; 7] = ["trace", "span", "batch.call", "batch.row", "batch.rows", "kept.rule", "kept.rate"];

/// What a trail adds to its answers (`docs/formats/index.md`, "Tables"; `docs/search.md`).
const ADDED: [&str; 14] = [
    "id",
    "seq",
    "producer",
    "epoch",
    "sealed",
    "log_index",
    "place",
    "target",
    "weight",
    "reviewed",
    "overridden",
    "explained",
    "replayed",
    "readable",
];

/// And groups of the same.
const ADDED_GROUPS: [&str; 3] = ["outcome", "review", "replay"];

/// What a table does not hold whole: a row that has some of it is no record to make.
const LEFT: [&str; 5] = ["attributions", "explanation", "counterfactual", "fields", "more"];

/// A column, and where its array is.
#[derive(Clone, Copy)]
struct Source<'c> {
    name: &'c str,
    column: &'c Column,
    top: usize,
    /// Within a structure.
    child: Option<usize>,
}

/// `inputs` or `outputs`.
#[derive(Default)]
struct Group<'c> {
    sources: Vec<Source<'c>>,
    fields: Fields,
    is_there: bool,
}

/// `params`, `tags` or `environment`: whole, or an entry a column.
#[derive(Default)]
struct MapOf<'c> {
    whole: Option<Source<'c>>,
    /// In the order of the encoded names.
    entries: Vec<Source<'c>>,
}

/// What the columns of a stream stand for.
#[derive(Default)]
pub(super) struct Layout<'c> {
    groups: [Group<'c>; 2],
    maps: [MapOf<'c>; 3],
    members: Vec<Source<'c>>,
    left: Vec<Source<'c>>,
    values: [Vec<u8>; 5],
}

const GROUPS: [&str; 2] = ["inputs", "outputs"];
const MAPS: [&str; 3] = ["params", "tags", "environment"];

impl<'c> Layout<'c> {
    /// # Errors
    /// The columns that stand for nothing, or for what others stand for already.
    pub(super) fn new(columns: &'c [Column], defaults: &Defaults) -> Result<Self, Vec<Wrong>> {
        let (mut layout, mut wrong) = (Self::default(), Vec::new());
        for (top, column) in columns.iter().enumerate() {
            let source = Source { name: &column.name, column, top, child: None };
            if let Err(error) = layout.add(source, defaults.reimport) {
                wrong.push(named(error, &column.name));
            }
        }
        if defaults.reimport && !layout.members.iter().any(|source| source.name == "batch.rows") {
            layout.members.retain(|source| !source.name.starts_with("batch."));
        }
        for (group, member) in layout.groups.iter_mut().zip(GROUPS) {
            let fields = group.sources.iter().map(|source| (source.name, source.column.field_type()));
            group.fields = Fields::new(member, fields);
        }
        for (map, member) in layout.maps.iter_mut().zip(MAPS) {
            map.entries.sort_by(|a, b| (a.name.len(), a.name).cmp(&(b.name.len(), b.name)));
            let twice = map.entries.windows(2).find(|two| two[0].name == two[1].name);
            let twice =
                twice.map(|two| two[0].name).or(map.whole.and(map.entries.first()).map(|one| one.name));
            wrong.extend(twice.map(|name| Wrong::new("is there twice").within(name).within(member)));
        }
        let mut members: Vec<&str> = layout.members.iter().map(|source| source.name).collect();
        members.sort_unstable();
        let twice = members.windows(2).filter(|two| two[0] == two[1]);
        wrong.extend(twice.map(|two| named(Wrong::new("is there twice"), two[0])));
        if wrong.is_empty() { Ok(layout) } else { Err(wrong) }
    }

    fn add(&mut self, source: Source<'c>, reimport: bool) -> Result<(), Wrong> {
        let name = source.name;
        let (member, entry) =
            name.split_once('.').map_or((name, None), |(member, entry)| (member, Some(entry)));
        if let Some(place) = GROUPS.iter().position(|group| *group == member) {
            let group = &mut self.groups[place];
            group.is_there = true;
            match entry {
                Some(entry) => group.sources.push(Source { name: entry, ..source }),
                None => {
                    let children = structure(source.column)?.iter().enumerate();
                    group.sources.extend(children.map(|(child, column)| Source {
                        name: &column.name,
                        column,
                        top: source.top,
                        child: Some(child),
                    }));
                }
            }
        } else if let Some(place) = MAPS.iter().position(|map| *map == member) {
            let map = &mut self.maps[place];
            match entry {
                Some(entry) => map.entries.push(Source { name: entry, ..source }),
                None if !matches!(source.column.sort, Sort::Struct | Sort::Map) => {
                    return Err(Wrong::new("a column of structures or maps is asked for"));
                }
                None if map.whole.replace(source).is_some() => return Err(Wrong::new("is there twice")),
                None => {}
            }
        } else if MEMBERS.contains(&name) || INNER.contains(&name) || (reimport && name == "readable") {
            self.members.push(source);
        } else if LEFT.contains(&member) {
            self.left.push(source);
        } else if ADDED.contains(&name) || ADDED_GROUPS.contains(&member) {
            if !reimport {
                let remedy = "leave it out, or pass over what a trail adds with `reimport=true`";
                return Err(Wrong::new("the trail gives this itself").remedy(remedy));
            }
        } else {
            let remedy = "columns are named as they are searched for, such as `inputs.age`: docs/api.md";
            return Err(Wrong::new("no such column of a record").remedy(remedy));
        }
        Ok(())
    }

    /// The draft of a row.
    ///
    /// # Errors
    /// The first thing that is wrong with it.
    pub(super) fn draft(
        &mut self,
        arrays: &[Array<'_>],
        row: usize,
        defaults: &Defaults,
        reader: &mut DraftReader,
        at: ReadAt,
    ) -> Result<Draft, Wrong> {
        for source in &self.left {
            if !matches!(source.cell(arrays, row)?, Cell::Missing) {
                let wrong = Wrong::new("a table does not hold this part of a record whole");
                let remedy =
                    "leave the column out, or hand this record over as JSON: `minutebook list --json`";
                return Err(named(wrong.remedy(remedy), source.name));
            }
        }
        let mut values = std::mem::take(&mut self.values);
        values.iter_mut().for_each(Vec::clear);
        let [inputs, outputs, params, tags, environment] = &mut values;
        for ((group, member), out) in self.groups.iter().zip(GROUPS).zip([&mut *inputs, outputs]) {
            for source in &group.sources {
                source.write(arrays, row, out).map_err(|wrong| wrong.within(source.name).within(member))?;
            }
        }
        let mut is_there = [false; 3];
        let maps = self.maps.iter().zip(MAPS).zip([&mut *params, tags, environment]);
        for (((map, member), out), is_there) in maps.zip(&mut is_there) {
            *is_there = map.write(arrays, row, out).map_err(|wrong| wrong.within(member))?;
        }
        let record = Tree::Object(self.members(arrays, row, defaults)?);
        let [inputs, outputs, params, tags, environment] = &values;
        let [first, second] = &self.groups;
        let given = Given {
            inputs: first.is_there.then_some((&first.fields, inputs.as_slice())),
            outputs: second.is_there.then_some((&second.fields, outputs.as_slice())),
            params: is_there[0].then_some(params.as_slice()),
            tags: is_there[1].then_some(tags.as_slice()),
            environment: is_there[2].then_some(environment.as_slice()),
        };
        let draft = reader.draft_of(&record, &given, at);
        self.values = values;
        draft
    }

    /// The members of a row as JSON would have them.
    fn members<'a>(
        &self,
        arrays: &'a [Array<'_>],
        row: usize,
        defaults: &'a Defaults,
    ) -> Result<Vec<(std::borrow::Cow<'a, str>, Tree<'a>)>, Wrong> {
        let (mut record, mut model) = (Vec::with_capacity(8), Vec::new());
        let (mut batch, mut kept, mut subject) = (Vec::new(), Vec::new(), None);
        let mut given = [false; 3];
        for source in &self.members {
            let tree = source.tree(arrays, row).map_err(|wrong| named(wrong, source.name))?;
            if matches!(tree, Tree::Null) {
                continue;
            }
            match source.name {
                "model" => {
                    given[0] = true;
                    model.push(("name".into(), tree));
                }
                "version" => {
                    given[1] = true;
                    model.push(("version".into(), tree));
                }
                "artifact" => {
                    given[2] = true;
                    model.push(("artifact".into(), prefixed(tree)));
                }
                "subject" | "subjects" => {
                    if subject.replace(tree).is_some() {
                        return Err(Wrong::new("is there beside `subject`").within("subjects"));
                    }
                }
                "kind" if !matches!(&tree, Tree::Text(kind) if kind == "decision") => {
                    let remedy = "hand other records over as JSON";
                    return Err(Wrong::new("a row is a decision").remedy(remedy).within("kind"));
                }
                name => match name.split_once('.') {
                    Some(("batch", inner)) => batch.push((inner.to_owned().into(), tree)),
                    Some(("kept", inner)) => kept.push((inner.to_owned().into(), tree)),
                    _ => record.push((name.to_owned().into(), tree)),
                },
            }
        }
        let texts =
            [("name", &defaults.model), ("version", &defaults.version), ("artifact", &defaults.artifact)];
        for ((name, text), given) in texts.into_iter().zip(given) {
            if let Some(text) = text.as_deref().filter(|_| !given) {
                let tree = Tree::Text(text.into());
                model.push((name.into(), if name == "artifact" { prefixed(tree) } else { tree }));
            }
        }
        record.extend(subject.map(|subject| ("subject".into(), subject)));
        for (name, object) in [("model", model), ("batch", batch), ("kept", kept)] {
            if !object.is_empty() {
                record.push((name.into(), Tree::Object(object)));
            }
        }
        Ok(record)
    }
}

/// An answer has the digest of an artifact as hex digits alone.
fn prefixed(tree: Tree<'_>) -> Tree<'_> {
    match tree {
        Tree::Text(digits) if !digits.starts_with("sha256:") => Tree::Text(format!("sha256:{digits}").into()),
        other => other,
    }
}

fn structure(column: &Column) -> Result<&[Column], Wrong> {
    match column {
        Column { sort: Sort::Struct, labels: None, children, .. } => Ok(children),
        _ => Err(Wrong::new("a column of structures is asked for, or one for each field")),
    }
}

enum Cell<'a, 'b> {
    Missing,
    At(&'a Array<'b>),
}

impl Source<'_> {
    fn cell<'a, 'b>(&self, arrays: &'a [Array<'b>], row: usize) -> Result<Cell<'a, 'b>, Wrong> {
        let lies = || Wrong::new("the batch has no rows of it");
        let mut array = arrays.get(self.top).ok_or_else(lies)?;
        if array.is_null(row) || self.column.sort == Sort::Null {
            return Ok(Cell::Missing);
        }
        if let Some(child) = self.child {
            array = array.children.get(child).ok_or_else(lies)?;
        }
        Ok(Cell::At(array))
    }

    fn tree<'a>(&self, arrays: &'a [Array<'_>], row: usize) -> Result<Tree<'a>, Wrong> {
        match self.cell(arrays, row)? {
            Cell::Missing => Ok(Tree::Null),
            Cell::At(array) => value::tree(self.column, array, row),
        }
    }

    fn write(&self, arrays: &[Array<'_>], row: usize, out: &mut Vec<u8>) -> Result<(), Wrong> {
        match self.cell(arrays, row)? {
            Cell::Missing => {
                cbor::write_null(out);
                Ok(())
            }
            Cell::At(array) => value::write(self.column, array, row, out),
        }
    }
}

/// Null, encoded.
const NULL: u8 = 0xf6;

impl MapOf<'_> {
    /// Appends the map of a row: whether there is one. An entry that is missing is left out, and a map without any.
    fn write(&self, arrays: &[Array<'_>], row: usize, out: &mut Vec<u8>) -> Result<bool, Wrong> {
        if let Some(whole) = &self.whole {
            whole.write(arrays, row, out)?;
            return Ok(out.first() != Some(&NULL));
        }
        let (mut entries, mut count) = (Vec::new(), 0);
        for entry in &self.entries {
            let start = entries.len();
            cbor::write_text(&mut entries, entry.name);
            let value = entries.len();
            entry.write(arrays, row, &mut entries).map_err(|wrong| wrong.within(entry.name))?;
            if entries.get(value..) == Some(&[NULL]) {
                entries.truncate(start);
            } else {
                count += 1;
            }
        }
        cbor::write_map(out, count);
        out.extend_from_slice(&entries);
        Ok(count > 0)
    }
}
