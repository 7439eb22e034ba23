//! The role of a syntax node, independent of its grammar.

/// The role of a syntax node, which a [`Language`](super::Language) assigns by the node's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Something with a name that other code can refer to: a function, a type, a module. Also constructs that only
    /// group such things under a name, like Rust's `impl`.
    Definition,
    /// The use of a function, method, constructor or macro.
    Call,
    /// The import of code from elsewhere.
    Import,
    /// Text that does not follow the grammar, or a token that is missing.
    Error,
}

impl Role {
    /// Every role.
    pub const ALL: [Self; 4] = [Self::Definition, Self::Call, Self::Import, Self::Error];

    /// The role's name in a column.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Definition => "definition",
            Self::Call => "call",
            Self::Import => "import",
            Self::Error => "error",
        }
    }
}

/// A set of roles.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Roles(u8);

impl Roles {
    /// Parses comma-separated role names; the error is the first unknown name.
    pub(super) fn parse(text: &str) -> Result<Self, &str> {
        let mut roles = Self::default();
        for name in text.split(',').map(str::trim) {
            let role = Role::ALL.into_iter().find(|role| role.as_str() == name).ok_or(name)?;
            roles.0 |= bit(role);
        }
        Ok(roles)
    }

    pub(super) fn contains(self, role: Role) -> bool {
        self.0 & bit(role) != 0
    }
}

fn bit(role: Role) -> u8 {
    1 << role as u8
}
