//! The tensors of one side of a call, cut into rows along their first dimension. Edge: names and cuts; elements are in `tensor`.

use std::borrow::Cow;
use std::collections::HashSet;

use minutebook_present::json::{Problem, Tree};

use crate::exchange::Row;
use crate::foreign::{self, owned};
use crate::limits::{COLUMNS_MAX, ROWS_MAX, TENSORS_MAX};
use crate::tensor::Tensor;

/// Tensors and how they are cut.
#[derive(Debug, Clone)]
pub(crate) struct Columns {
    tensors: Vec<(Tensor, Cut)>,
    rows: usize,
}

/// What becomes of a tensor's part of a row.
#[derive(Debug, Clone)]
enum Cut {
    /// One field of the tensor's name.
    Field,
    /// A field for each column, of these names.
    Fields(Vec<String>),
}

/// Which side of a call tensors are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Which {
    Inputs,
    Outputs,
}

impl Which {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Inputs => "inputs",
            Self::Outputs => "outputs",
        }
    }
}

/// Reads the member of a request or an answer that holds its tensors.
pub(crate) fn tensors(side: Which, body: &Tree<'_>, binary: &mut &[u8]) -> Result<Vec<Tensor>, Problem> {
    let name = side.name();
    let Some(Tree::Array(items)) = foreign::get(body, name) else {
        return Err(Problem::new(format!("member `{name}` is missing, or no array")));
    };
    if items.is_empty() || items.len() > TENSORS_MAX {
        return Err(Problem::new(format!("from 1 to {TENSORS_MAX} tensors are read")).within(name));
    }
    let mut seen = HashSet::new();
    let mut found = Vec::with_capacity(items.len());
    for (place, item) in items.iter().enumerate() {
        let tensor = Tensor::read(item, binary).map_err(|problem| problem.within_item(place).within(name))?;
        if !seen.insert(tensor.name.clone()) {
            return Err(Problem::new("a tensor of this name is there already")
                .within_item(place)
                .within(name));
        }
        found.push(tensor);
    }
    Ok(found)
}

/// The first dimension that all of these have in common.
pub(crate) fn batch<'t>(tensors: impl IntoIterator<Item = &'t Tensor>) -> Option<usize> {
    let mut firsts = tensors.into_iter().map(|tensor| tensor.shape.first().copied());
    let first = firsts.next()??;
    (first > 0 && firsts.all(|next| next == Some(first))).then_some(first)
}

impl Columns {
    /// Cuts tensors into this many rows, or takes them whole as one.
    ///
    /// # Errors
    /// When there are more than [`ROWS_MAX`] rows.
    pub(crate) fn cut(side: Which, tensors: Vec<Tensor>, rows: Option<usize>) -> Result<Self, Problem> {
        let Some(rows) = rows else { return Ok(Self::whole(tensors)) };
        if rows > ROWS_MAX {
            let what = format!("{rows} rows in one call, and at most {ROWS_MAX} are read");
            return Err(Problem::new(what).remedy("record such batches with `minutebook import`"));
        }
        let alone = tensors.len() == 1 && side == Which::Inputs;
        let named: Vec<(Tensor, Cut)> = tensors
            .into_iter()
            .map(|tensor| {
                let cut = match tensor.shape.as_slice() {
                    [_, columns @ 2..=COLUMNS_MAX] => {
                        Cut::Fields(column_names(&tensor.name, *columns, alone))
                    }
                    _ => Cut::Field,
                };
                (tensor, cut)
            })
            .collect();
        let mut seen = HashSet::new();
        let names = named.iter().flat_map(|(tensor, cut)| match cut {
            Cut::Field => std::slice::from_ref(&tensor.name),
            Cut::Fields(names) => names.as_slice(),
        });
        let tensors = if names.into_iter().all(|name| seen.insert(name.as_str())) {
            named
        } else {
            named.into_iter().map(|(tensor, _)| (tensor, Cut::Field)).collect()
        };
        Ok(Self { tensors, rows })
    }

    fn whole(tensors: Vec<Tensor>) -> Self {
        // A dimension before the others makes each of them one row.
        let one = |mut tensor: Tensor| {
            tensor.shape.insert(0, 1);
            (tensor, Cut::Field)
        };
        Self { tensors: tensors.into_iter().map(one).collect(), rows: 1 }
    }

    pub(crate) fn rows(&self) -> usize {
        self.rows
    }

    pub(crate) fn row(&self, row: usize) -> Row {
        let mut fields = Row::with_capacity(self.tensors.len());
        for (tensor, cut) in self.tensors.iter().filter(|_| row < self.rows) {
            let shape = &tensor.shape[1..];
            let start = row * shape.iter().product::<usize>();
            match cut {
                Cut::Field => {
                    fields.push((Cow::Owned(tensor.name.clone()), tensor.value(start, shape)));
                }
                Cut::Fields(names) => fields.extend(
                    names
                        .iter()
                        .enumerate()
                        .map(|(column, name)| (Cow::Owned(name.clone()), tensor.value(start + column, &[1]))),
                ),
            }
        }
        fields
    }
}

/// As arrays without names are called elsewhere when there is one, and after the tensor when there are several.
fn column_names(tensor: &str, columns: usize, alone: bool) -> Vec<String> {
    (0..columns).map(|at| if alone { format!("x{at}") } else { format!("{tensor}_{at}") }).collect()
}

/// A row that says what went wrong.
pub(crate) fn error_row(text: &str) -> Row {
    vec![(Cow::Borrowed("error"), owned(text))]
}
