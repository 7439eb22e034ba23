//! Literals.

use sqlparser::ast::{Value, ValueWithSpan};

use super::walk::Walk;
use super::{Declared, Node, Part, Rule, Section, Verdict, nodes};

nodes! {
    choice Value {
        Number(digits: (plain), long: (nothing "whether L was written after it"));
        SingleQuotedString(text: carried);
        DollarQuotedString(text: (plain));
        TripleSingleQuotedString: (refused "a text in three quotes" "write it in single quotes");
        TripleDoubleQuotedString: (refused "a text in three quotes" "write it in single quotes");
        EscapedStringLiteral(text: carried);
        UnicodeStringLiteral: (refused "a text after U&" "write the characters themselves in single quotes");
        SingleQuotedByteStringLiteral: (refused "bytes in quotes after B" "write `X'…'` with hexadecimal digits");
        DoubleQuotedByteStringLiteral: (refused "bytes in quotes after B" "write `X'…'` with hexadecimal digits");
        TripleSingleQuotedByteStringLiteral: (refused "bytes in three quotes" "write `X'…'` with hexadecimal digits");
        TripleDoubleQuotedByteStringLiteral: (refused "bytes in three quotes" "write `X'…'` with hexadecimal digits");
        SingleQuotedRawStringLiteral: (refused "a text after R" "write it in single quotes");
        DoubleQuotedRawStringLiteral: (refused "a text after R" "write it in single quotes");
        TripleSingleQuotedRawStringLiteral: (refused "a text after R" "write it in single quotes");
        TripleDoubleQuotedRawStringLiteral: (refused "a text after R" "write it in single quotes");
        NationalStringLiteral: (refused "a text after N" "write it in single quotes");
        QuoteDelimitedStringLiteral: (refused "a text after Q" "write it in single quotes");
        NationalQuoteDelimitedStringLiteral: (refused "a text after NQ" "write it in single quotes");
        HexStringLiteral(digits: carried);
        DoubleQuotedString(text: carried);
        Boolean(value: carried);
        Null: carried;
        Placeholder(name: carried);
    }
}

impl Node for ValueWithSpan {
    fn walk(&self, walk: &mut Walk<'_>) {
        let Self { value, span } = self;
        walk.pass(span.start);
        value.walk(walk);
    }
}
