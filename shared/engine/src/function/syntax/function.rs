//! The SQL function for the parser.

use std::cell::RefCell;
use std::sync::Arc;

use datafusion::arrow::array::{Array, ArrayRef, AsArray, ListArray, StringArray};
use datafusion::arrow::buffer::{NullBuffer, OffsetBuffer};
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{ScalarValue, exec_datafusion_err, exec_err, plan_err};
use datafusion::error::{DataFusionError, Result};
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, TypeSignature, Volatility,
};
use tree_sitter::Parser;

use super::language::{Language, Languages};
use super::nodes::{NodeColumns, node_fields};
use super::role::{Role, Roles};

thread_local! {
    /// A parser reuses its buffers between texts.
    static PARSER: RefCell<Parser> = RefCell::new(Parser::new());
}

/// The SQL function `syntax_nodes(content, language[, roles])`: the named nodes of the text's syntax tree in preorder,
/// as `List<Struct<node_id, parent_id, kind, field, start_byte, end_byte, start_line, end_line, name, name_kind,
/// qualifier, arity, role, scope_id, owner>>`.
///
/// With `roles`, a comma-separated list of [`Role`]s, nodes without any of them are omitted; the remaining nodes keep
/// their ids and parents, even if the parents are omitted.
///
/// Invalid text results in `ERROR` nodes, and a missing token in a `MISSING` node whose name is the token. Text of more
/// than [`MAX_SYNTAX_BYTES`](super::MAX_SYNTAX_BYTES), or on which the parser spends far more work than usual, results
/// in a single `ERROR` node for the whole text. Null content and a null or unknown language result in null; an unknown
/// language in a literal is an error of the query, as is an unknown role.
pub fn syntax_nodes(languages: Languages) -> ScalarUDF {
    let arguments = |count| TypeSignature::Exact(vec![DataType::Utf8; count]);
    let signature = Signature::one_of(vec![arguments(2), arguments(3)], Volatility::Immutable);
    ScalarUDF::new_from_impl(SyntaxNodes { signature, languages: Arc::new(languages) })
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SyntaxNodes {
    signature: Signature,
    languages: Arc<Languages>,
}

impl ScalarUDFImpl for SyntaxNodes {
    fn name(&self) -> &str {
        "syntax_nodes"
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _arg_types: &[DataType]) -> Result<DataType> {
        Ok(DataType::List(item()))
    }

    fn return_field_from_args(&self, args: ReturnFieldArgs) -> Result<FieldRef> {
        if let Some(Some(literal)) = args.scalar_arguments.get(1)
            && let Some(Some(language)) = literal.try_as_str()
            && self.languages.get(language).is_none()
        {
            let known: Vec<_> = self.languages.names().collect();
            return plan_err!("syntax_nodes does not know the language `{language}`; it knows {}", known.join(", "));
        }
        if let Some(Some(literal)) = args.scalar_arguments.get(2) {
            roles_of(literal)?;
        }
        Ok(Arc::new(Field::new(self.name(), DataType::List(item()), true)))
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let all_scalar = args.args.iter().all(|arg| matches!(arg, ColumnarValue::Scalar(_)));
        let rows = if all_scalar { 1 } else { args.number_rows };
        let (content, language, roles) = match args.args.as_slice() {
            [content, language] => (content, language, None),
            [content, language, ColumnarValue::Scalar(roles)] => (content, language, Some(roles_of(roles)?)),
            _ => return exec_err!("syntax_nodes takes a content, a language and, the same for every row, roles"),
        };
        let content = content.to_array(rows)?;
        let language = match language {
            ColumnarValue::Array(names) => LanguageOf::Row(names),
            ColumnarValue::Scalar(name) => {
                LanguageOf::All(name.try_as_str().flatten().and_then(|name| self.languages.get(name)))
            }
        };
        let lists = self.lists(content.as_string(), &language, roles)?;
        if all_scalar {
            return Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&lists, 0)?));
        }
        Ok(ColumnarValue::Array(Arc::new(lists)))
    }
}

/// The language of a row.
enum LanguageOf<'a> {
    /// The same for every row; `None` is an unknown one.
    All(Option<&'a Language>),
    /// The names, one row each.
    Row(&'a ArrayRef),
}

impl SyntaxNodes {
    fn lists(&self, content: &StringArray, language: &LanguageOf<'_>, roles: Option<Roles>) -> Result<ListArray> {
        let mut nodes = NodeColumns::default();
        let mut offsets: Vec<i32> = Vec::with_capacity(content.len() + 1);
        let mut valid: Vec<bool> = Vec::with_capacity(content.len());
        offsets.push(0);
        for row in 0..content.len() {
            let source = content.is_valid(row).then(|| content.value(row));
            let language = match language {
                LanguageOf::All(language) => *language,
                LanguageOf::Row(names) => {
                    let names = names.as_string::<i32>();
                    names.is_valid(row).then(|| names.value(row)).and_then(|name| self.languages.get(name))
                }
            };
            if let (Some(source), Some(language)) = (source, language) {
                if nodes.is_full() {
                    return Err(too_large());
                }
                PARSER.with_borrow_mut(|parser| nodes.append(parser, language, source, roles));
            }
            valid.push(source.is_some() && language.is_some());
            offsets.push(i32::try_from(nodes.len()).map_err(|_| too_large())?);
        }
        let offsets = OffsetBuffer::new(offsets.into());
        Ok(ListArray::try_new(item(), offsets, Arc::new(nodes.finish()?), Some(NullBuffer::from(valid)))?)
    }
}

/// The roles in a literal.
fn roles_of(literal: &ScalarValue) -> Result<Roles> {
    let Some(Some(text)) = literal.try_as_str() else {
        return plan_err!("syntax_nodes takes its roles as text, such as 'definition,call'");
    };
    Roles::parse(text).or_else(|unknown| {
        let known = Role::ALL.map(Role::as_str).join(", ");
        plan_err!("syntax_nodes does not know the role `{unknown}`; it knows {known}")
    })
}

fn too_large() -> DataFusionError {
    exec_datafusion_err!(
        "the sources of one batch have more syntax nodes than a list column can hold; set a smaller batch_size"
    )
}

fn item() -> FieldRef {
    Arc::new(Field::new_list_field(DataType::Struct(node_fields()), true))
}
