//! Whose values the constants of a shape may be: a person's alone, or common to several. Edge: knows lookup hashes only.

/// Whom the records of a shape were about, as far as they were seen.
#[derive(Debug, Clone, Default)]
pub enum ShapeUsers {
    /// None was seen yet, or not whom they were about.
    #[default]
    Unknown,
    /// All were about these, and perhaps others.
    Common(Vec<[u8; 32]>),
    /// They have nobody in common, or somebody was about no one.
    Several,
}

impl ShapeUsers {
    /// A record of the shape is about these.
    pub fn see(&mut self, lookups: &[[u8; 32]]) {
        match self {
            Self::Unknown if !lookups.is_empty() => *self = Self::Common(lookups.to_vec()),
            Self::Common(common) => {
                common.retain(|lookup| lookups.contains(lookup));
                if common.is_empty() {
                    *self = Self::Several;
                }
            }
            _ => *self = Self::Several,
        }
    }

    /// Whether what the shape holds may be this person's.
    pub fn may_be(&self, lookup: &[u8; 32]) -> bool {
        match self {
            Self::Unknown => true,
            Self::Common(common) => common.contains(lookup),
            Self::Several => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_several_share_is_nobodys_own() {
        let (ann, bob) = ([1; 32], [2; 32]);
        let users = |seen: &[&[[u8; 32]]]| {
            let mut users = ShapeUsers::default();
            seen.iter().for_each(|lookups| users.see(lookups));
            [users.may_be(&ann), users.may_be(&bob)]
        };
        assert_eq!(users(&[]), [true, true]);
        assert_eq!(users(&[&[ann]]), [true, false]);
        assert_eq!(users(&[&[ann, bob]]), [true, true]);
        assert_eq!(users(&[&[ann, bob], &[bob]]), [false, true]);
        assert_eq!(users(&[&[ann], &[bob]]), [false, false]);
        assert_eq!(users(&[&[ann], &[]]), [false, false]);
        assert_eq!(users(&[&[], &[ann]]), [false, false]);
        assert_eq!(users(&[&[ann], &[bob], &[ann]]), [false, false]);
    }
}
