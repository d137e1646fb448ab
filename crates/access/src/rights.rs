//! Deciding: policies, settings and what is asked give permit or deny. Edge: pure; whoever asks often keeps what was decided.

use std::collections::{HashMap, HashSet};

use cedar_policy::{
    Authorizer, Context, Decision, Entities, Entity, EntityId, EntityTypeName, EntityUid, PolicySet, Request,
    RestrictedExpression,
};

use crate::action::Action;
use crate::asker::{Asker, Proof};
use crate::error::AccessError;
use crate::policies;
use crate::settings::Settings;

/// In which circumstances something is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Circumstances<'c> {
    /// What it is for, as the asker says; empty when it does not.
    pub purpose: &'c str,
    /// Now, minutes since 1970: what was decided holds for this minute.
    pub minute: i64,
}

/// What was decided, and by which policies.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Verdict {
    /// Whether it may be done.
    pub is_permitted: bool,
    /// The ids of the policies that say so, in order; none when it is denied because no policy permits it.
    pub policies: Vec<String>,
}

/// Who may do what, in one trail.
pub struct Rights {
    settings: Settings,
    policies: PolicySet,
    authorizer: Authorizer,
    kinds: Kinds,
}

/// Names of types, read once.
struct Kinds {
    key: EntityTypeName,
    person: EntityTypeName,
    role: EntityTypeName,
    trail: EntityTypeName,
    model: EntityTypeName,
    field: EntityTypeName,
    actions: HashMap<Action, EntityUid>,
}

impl Kinds {
    fn new() -> Self {
        // INVARIANT: plain names of this crate.
        let kind = |name: &str| name.parse::<EntityTypeName>().expect("a name");
        let action = kind("Action");
        let actions = Action::ALL.iter().map(|each| {
            (*each, EntityUid::from_type_name_and_id(action.clone(), EntityId::new(each.name())))
        });
        Self {
            key: kind("Key"),
            person: kind("Person"),
            role: kind("Role"),
            trail: kind("Trail"),
            model: kind("Model"),
            field: kind("Field"),
            actions: actions.collect(),
        }
    }
}

fn uid(kind: &EntityTypeName, id: &str) -> EntityUid {
    EntityUid::from_type_name_and_id(kind.clone(), EntityId::new(id))
}

fn text(text: &str) -> RestrictedExpression {
    RestrictedExpression::new_string(text.to_owned())
}

impl std::fmt::Debug for Rights {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Rights").field("settings", &self.settings).finish_non_exhaustive()
    }
}

impl Rights {
    /// Those of a text of settings; of none, what holds when nobody said anything.
    ///
    /// # Errors
    /// What is wrong with the text, with its line.
    pub fn parse(settings: Option<&str>) -> Result<Self, AccessError> {
        let settings = settings.map_or_else(|| Ok(Settings::none()), Settings::parse)?;
        let policies = policies::in_force(&settings)?;
        Ok(Self { settings, policies, authorizer: Authorizer::new(), kinds: Kinds::new() })
    }

    /// The settings.
    pub fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Whether an operator has policies of its own: without, what holds for the models that there are holds for every one.
    pub fn has_own_policies(&self) -> bool {
        self.settings.policies.is_some()
    }

    /// Whether what is decided may change with time: without, it is decided once.
    pub fn looks_at_time(&self) -> bool {
        self.settings.policies.as_ref().is_some_and(|(text, _)| text.contains("now"))
    }

    /// How many policies are in force.
    pub fn policies(&self) -> usize {
        self.policies.policies().count()
    }

    /// Whether an asker may do something with a model, or with `None` with the trail as a whole.
    pub fn decide(
        &self,
        asker: &Asker,
        action: Action,
        model: Option<&str>,
        circumstances: Circumstances<'_>,
    ) -> Verdict {
        let own = asker.is_for(model);
        self.decide_as(asker, action, model, own, circumstances)
    }

    /// Whether an asker may do something with some model, as far as the trail alone tells: as if every model were its own.
    pub fn decide_somewhere(
        &self,
        asker: &Asker,
        action: Action,
        circumstances: Circumstances<'_>,
    ) -> Verdict {
        self.decide_as(asker, action, None, true, circumstances)
    }

    /// Whether an asker sees the content of a field, named as it is searched for (`inputs.age`), of a model's records, or with `None` of records of
    /// no model.
    pub fn sees(
        &self,
        asker: &Asker,
        model: Option<&str>,
        path: &str,
        circumstances: Circumstances<'_>,
    ) -> bool {
        let trail = uid(&self.kinds.trail, "");
        let name = model.unwrap_or_default();
        let of = uid(&self.kinds.model, name);
        let field = uid(&self.kinds.field, &format!("{name}/{path}"));
        let personal = RestrictedExpression::new_bool(self.settings.is_personal(model, path));
        let attributes = [("model", text(name)), ("path", text(path)), ("personal", personal)];
        let parents = [
            self.entity(&field, attributes, [of.clone()]),
            self.entity(&of, [("name", text(name))], [trail.clone()]),
            self.entity(&trail, [("name", text(""))], []),
        ];
        self.evaluate(asker, Action::SeeField, field, parents, asker.is_for(model), circumstances)
            .is_permitted
    }

    fn decide_as(
        &self,
        asker: &Asker,
        action: Action,
        model: Option<&str>,
        own: bool,
        circumstances: Circumstances<'_>,
    ) -> Verdict {
        let trail = uid(&self.kinds.trail, "");
        let mut entities = vec![self.entity(&trail, [("name", text(""))], [])];
        let resource = match model {
            None => trail,
            Some(name) => {
                let model = uid(&self.kinds.model, name);
                entities.push(self.entity(&model, [("name", text(name))], [trail]));
                model
            }
        };
        self.evaluate(asker, action, resource, entities, own, circumstances)
    }

    fn entity<const A: usize, const P: usize>(
        &self,
        id: &EntityUid,
        attributes: [(&str, RestrictedExpression); A],
        parents: [EntityUid; P],
    ) -> Entity {
        let attributes = attributes.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        // INVARIANT: texts and booleans evaluate to themselves.
        Entity::new(id.clone(), attributes, HashSet::from(parents)).expect("plain attributes")
    }

    fn evaluate(
        &self,
        asker: &Asker,
        action: Action,
        resource: EntityUid,
        others: impl IntoIterator<Item = Entity>,
        own: bool,
        circumstances: Circumstances<'_>,
    ) -> Verdict {
        let denied = |why: &str| Verdict { is_permitted: false, policies: vec![why.to_owned()] };
        let kind = match asker.proof {
            Proof::Key => &self.kinds.key,
            Proof::SignIn => &self.kinds.person,
        };
        let key = uid(kind, &asker.name);
        let roles: HashSet<EntityUid> = asker.roles.iter().map(|role| uid(&self.kinds.role, role)).collect();
        let mut entities: Vec<Entity> = others.into_iter().collect();
        entities.extend(roles.iter().map(|role| Entity::new_no_attrs(role.clone(), HashSet::new())));
        let name = HashMap::from([("name".to_owned(), text(&asker.name))]);
        let Ok(asker) = Entity::new(key.clone(), name, roles) else { return denied("(asker)") };
        entities.push(asker);
        let now = jiff::Timestamp::from_second(circumstances.minute.saturating_mul(60)).unwrap_or_default();
        let context = Context::from_pairs([
            ("own".to_owned(), RestrictedExpression::new_bool(own)),
            ("purpose".to_owned(), text(circumstances.purpose)),
            (
                "now".to_owned(),
                RestrictedExpression::new_datetime(now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()),
            ),
        ]);
        let (Ok(context), Ok(entities)) = (context, Entities::from_entities(entities, None)) else {
            return denied("(circumstances)");
        };
        let Some(action) = self.kinds.actions.get(&action) else { return denied("(action)") };
        let Ok(request) = Request::new(key, action.clone(), resource, context, None) else {
            return denied("(request)");
        };
        let response = self.authorizer.is_authorized(&request, &self.policies, &entities);
        // A policy that fails would be passed over, and it could be one that forbids.
        if response.diagnostics().errors().next().is_some() {
            return denied("(a policy failed)");
        }
        let mut policies: Vec<String> = response.diagnostics().reason().map(ToString::to_string).collect();
        policies.sort_unstable();
        Verdict { is_permitted: response.decision() == Decision::Allow, policies }
    }
}
