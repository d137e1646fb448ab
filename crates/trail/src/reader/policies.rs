//! The sampling policy in force, and whether another one fits what is recorded. Edge: sets none; that is the engine's.

use super::{Content, Filter, Reader, StoredRecord};
use crate::error::{Error, Result};
use minutebook_policy::Policy;
use minutebook_record::fields::ModelRef;
use minutebook_record::{FieldType, Kind, Schema};
use std::ops::ControlFlow;
use std::sync::Arc;

impl Reader {
    /// The text of the sampling policy in force; none when there never was one.
    ///
    /// # Errors
    /// When the catalog cannot be read.
    pub async fn sampling_policy(&self) -> Result<Option<String>> {
        let text = self.catalog.meta(crate::catalog::SAMPLING_POLICY).await?;
        Ok(text.map(|text| String::from_utf8_lossy(&text).into_owned()))
    }

    /// Checks a sampling policy without using it; with a model's name against the fields of its latest decision that is sealed and can be read
    /// too. Gives the policy.
    ///
    /// # Errors
    /// [`Error::Policy`] when it is wrong, with the place; [`Error::Request`] when there is no such decision. Otherwise as [`Reader::list`].
    pub async fn check_policy(&self, text: &str, model: Option<&str>) -> Result<Policy> {
        let policy = Policy::parse(text)?;
        if let Some(model) = model {
            let none = || format!("the trail has no decision of model `{model}` that can be read");
            let schema = self.latest_schema(model).await?.ok_or_else(|| Error::Request(none()))?;
            policy.check(model, &schema)?;
        }
        Ok(policy)
    }

    async fn latest_schema(&self, model: &str) -> Result<Option<Arc<Schema>>> {
        let mut found = None;
        let mut each = |record: StoredRecord| {
            if record.model_and_values().is_some_and(|(name, _)| name == model) {
                found = Some(record.schema);
                return ControlFlow::Break(());
            }
            ControlFlow::Continue(())
        };
        self.list(&Filter { kinds: vec![Kind::Decision], ..Filter::default() }, &mut each).await?;
        Ok(found)
    }
}

impl StoredRecord {
    /// The name of its model, empty without one, and its values; none when they cannot be read.
    pub fn model_and_values(&self) -> Option<(String, &[Vec<u8>])> {
        let Content::Readable { values, .. } = &self.content else { return None };
        let model = self.schema.fields().iter().position(|field| field.field_type == FieldType::Model);
        let model = model.and_then(|place| ModelRef::decode(&values[place]).ok().flatten());
        Some((model.map(|model| model.name).unwrap_or_default(), values))
    }
}
