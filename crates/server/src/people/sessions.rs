//! Sessions: who has signed in, by the digest of what their browser keeps. In memory: an engine that starts again knows nobody.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::limits::{SESSION_IDLE, SESSION_LASTS, SESSIONS_MAX, SESSIONS_OF_ONE};

/// Somebody who has signed in.
#[derive(Debug, Clone)]
pub(crate) struct Session {
    pub(crate) name: String,
    /// As the provider said when they signed in.
    pub(crate) groups: Vec<String>,
    /// What a page of this server sends with what it changes.
    pub(crate) csrf: String,
    since: Instant,
    used: Instant,
}

impl Session {
    pub(super) fn new(name: String, groups: Vec<String>, csrf: String, now: Instant) -> Self {
        Self { name, groups, csrf, since: now, used: now }
    }

    fn is_over(&self, now: Instant) -> bool {
        now.saturating_duration_since(self.since) >= SESSION_LASTS
            || now.saturating_duration_since(self.used) >= SESSION_IDLE
    }

    /// Seconds for which it lasts if it is used.
    pub(crate) fn lasts_s(&self, now: Instant) -> u64 {
        SESSION_LASTS.saturating_sub(now.saturating_duration_since(self.since)).as_secs()
    }
}

/// All of one trail.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<[u8; 32], Session>>);

impl Sessions {
    fn all(&self) -> MutexGuard<'_, HashMap<[u8; 32], Session>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn find(&self, digest: &[u8; 32], now: Instant) -> Option<Session> {
        let mut all = self.all();
        let session = all.get_mut(digest)?;
        if session.is_over(now) {
            all.remove(digest);
            return None;
        }
        session.used = now;
        Some(session.clone())
    }

    /// Adds one. Where there are too many, of the same person or of all, the one that was used longest ago ends.
    pub(super) fn add(&self, digest: [u8; 32], session: Session) {
        let mut all = self.all();
        all.retain(|_, other| !other.is_over(session.since));
        let oldest = |all: &HashMap<[u8; 32], Session>, name: Option<&str>| {
            let of = all.iter().filter(|(_, other)| name.is_none_or(|name| other.name == name));
            of.min_by_key(|(_, other)| other.used).map(|(digest, _)| *digest)
        };
        let of_one = all.values().filter(|other| other.name == session.name).count();
        let leaves = if of_one >= SESSIONS_OF_ONE {
            oldest(&all, Some(&session.name))
        } else if all.len() >= SESSIONS_MAX {
            oldest(&all, None)
        } else {
            None
        };
        leaves.iter().for_each(|digest| drop(all.remove(digest)));
        all.insert(digest, session);
    }

    pub(super) fn end(&self, digest: &[u8; 32]) -> Option<Session> {
        self.all().remove(digest)
    }

    pub(super) fn end_of(&self, name: Option<&str>) -> usize {
        let mut all = self.all();
        let before = all.len();
        all.retain(|_, session| name.is_some_and(|name| session.name != name));
        before - all.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Duration;

    fn of(name: &str, now: Instant) -> Session {
        Session::new(name.into(), Vec::new(), "csrf".into(), now)
    }

    #[tokio::test]
    async fn a_session_ends_when_it_is_not_used_and_in_any_case_after_its_time() {
        let (sessions, began) = (Sessions::default(), Instant::now());
        sessions.add([1; 32], of("ann", began));
        let step = SESSION_IDLE - Duration::from_secs(1);
        let mut now = began;
        while now + step < began + SESSION_LASTS {
            now += step;
            assert!(sessions.find(&[1; 32], now).is_some(), "in use");
        }
        assert!(sessions.find(&[1; 32], began + SESSION_LASTS).is_none(), "it lasts no longer");
        assert!(sessions.find(&[1; 32], began).is_none(), "and is forgotten");
        sessions.add([2; 32], of("ann", began));
        assert!(sessions.find(&[2; 32], began + SESSION_IDLE).is_none(), "not used");
        assert!(sessions.find(&[3; 32], began).is_none());
    }

    #[tokio::test]
    async fn a_person_has_so_many_and_the_one_used_longest_ago_leaves() {
        let (sessions, now) = (Sessions::default(), Instant::now());
        sessions.add([200; 32], of("bob", now));
        for number in 0..=SESSIONS_OF_ONE as u8 {
            sessions.add([number; 32], of("ann", now + Duration::from_secs(u64::from(number))));
        }
        assert!(sessions.find(&[0; 32], now).is_none());
        assert!(sessions.find(&[1; 32], now).is_some());
        assert!(sessions.find(&[200; 32], now).is_some(), "of another person");
        assert_eq!(sessions.end_of(Some("ann")), SESSIONS_OF_ONE);
        assert_eq!(sessions.end_of(None), 1);
    }
}
