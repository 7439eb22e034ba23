//! The leaves of the syntax tree.

use sqlparser::ast::helpers::attached_token::AttachedToken;
use sqlparser::ast::{ExactNumberInfo, FunctionArguments, Ident, OneOrManyWithParens, Parens, TimezoneInfo};

use super::walk::Walk;
use super::{Given, Node};

macro_rules! plain {
    ($($leaf:ty),*) => {
        $(impl Node for $leaf {
            fn walk(&self, _walk: &mut Walk<'_>) {}
        })*
    };
}

plain!(bool, u8, u64, i64, String);

impl Node for Ident {
    fn walk(&self, walk: &mut Walk<'_>) {
        walk.pass(self.span.start);
    }
}

impl Node for AttachedToken {
    fn walk(&self, walk: &mut Walk<'_>) {
        walk.pass(self.0.span.start);
    }
}

impl<T: Node> Node for Option<T> {
    fn walk(&self, walk: &mut Walk<'_>) {
        if let Some(node) = self {
            node.walk(walk);
        }
    }
}

impl<T: Node> Node for Vec<T> {
    fn walk(&self, walk: &mut Walk<'_>) {
        for node in self {
            node.walk(walk);
        }
    }
}

impl<T: Node + ?Sized> Node for Box<T> {
    fn walk(&self, walk: &mut Walk<'_>) {
        self.as_ref().walk(walk);
    }
}

impl<T: Node> Node for Parens<T> {
    fn walk(&self, walk: &mut Walk<'_>) {
        let Self { opening_token, content, closing_token } = self;
        opening_token.walk(walk);
        content.walk(walk);
        closing_token.walk(walk);
    }
}

impl<T: Node> Node for OneOrManyWithParens<T> {
    fn walk(&self, walk: &mut Walk<'_>) {
        match self {
            Self::One(node) => node.walk(walk),
            Self::Many(nodes) => nodes.walk(walk),
        }
    }
}

impl Given for bool {
    fn given(&self) -> bool {
        *self
    }
}

impl<T> Given for Option<T> {
    fn given(&self) -> bool {
        self.is_some()
    }
}

impl<T> Given for Vec<T> {
    fn given(&self) -> bool {
        !self.is_empty()
    }
}

impl Given for ExactNumberInfo {
    fn given(&self) -> bool {
        match self {
            Self::None => false,
            Self::Precision(_) | Self::PrecisionAndScale(_, _) => true,
        }
    }
}

impl Given for TimezoneInfo {
    fn given(&self) -> bool {
        match self {
            Self::None | Self::WithoutTimeZone => false,
            Self::WithTimeZone | Self::Tz => true,
        }
    }
}

impl Given for FunctionArguments {
    fn given(&self) -> bool {
        match self {
            Self::None => false,
            Self::Subquery(_) | Self::List(_) => true,
        }
    }
}
