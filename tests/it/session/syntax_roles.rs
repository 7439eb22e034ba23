//! What `syntax_nodes` returns in addition to the tree: roles, scopes, owners, qualifiers, arities.

use super::support::Fixture;

/// The nodes of `roles`, without the columns that only concern the tree.
async fn nodes(fixture: &Fixture, content: &str, language: &str, roles: &str) -> String {
    let content = content.replace('\'', "''");
    let sql = format!(
        "SELECT n['node_id'] AS id, n['role'] AS role, n['kind'] AS kind, n['name'] AS name, n['name_kind'] AS \
             name_kind, n['qualifier'] AS qualifier, n['arity'] AS arity, n['scope_id'] AS scope, n['owner'] AS owner \
         FROM (SELECT unnest(syntax_nodes('{content}', '{language}', '{roles}')) AS n) ORDER BY id"
    );
    fixture.rows(&sql).await
}

#[tokio::test]
async fn rust_nodes_have_roles_scopes_and_owners() {
    let source = "use a::{b, c};
extern crate d;
mod inner {
    pub enum E { A, B(u8) }
    pub trait T { fn must(&self); }
}
impl<T> Thing<T> {
    fn go(&self, /* how often */ n: u8) {
        self.step(1, 2);
        self.part.step();
        x.y::<u8>(3).z();
        Vec::<u8>::new();
        <Thing as T>::must(&self);
        a::b::free(n);
        (n + 1).into();
        println!(\"{}\", skipped(1));
        std::vec![1];
        fn helper() { B(1); }
        let later = || helper();
    }
}
fn broken( { let = 1 }
";
    insta::assert_snapshot!(nodes(&Fixture::new(), source, "rust", "definition,call,import,error").await);
}

#[tokio::test]
async fn python_nodes_have_roles_scopes_and_owners() {
    let source = "from __future__ import annotations
from ..pkg import a as b
import os.path
@decorate(1)
class C(Base):
    @property
    def go(self, n=1, *rest, **named):
        def inner(): return self.x()
        super().go(n, k=2)
        return ''.join(x.y.call(i) for i in n)
    def missing(:
";
    insta::assert_snapshot!(nodes(&Fixture::new(), source, "py", "definition, call, import, error").await);
}

#[tokio::test]
async fn chosen_roles_are_the_same_nodes() {
    let fixture = Fixture::new();
    let source = "mod m { use a::b; fn f() { g(h!(1)); let x = ; } } struct S { a: u8 }";
    let sql = |nodes: &str, filter: &str| {
        format!(
            "SELECT count(*), sum(n['node_id'] * (n['start_byte'] + 1) + coalesce(n['parent_id'], 0) * \
                 (coalesce(n['scope_id'], 0) + 1)) FROM (SELECT unnest({nodes}) AS n) {filter}"
        )
    };
    for roles in ["definition", "call", "import", "error", "call,definition", "error , import"] {
        let names: Vec<String> = roles.split(',').map(|role| format!("'{}'", role.trim())).collect();
        let chosen = fixture.rows(&sql(&format!("syntax_nodes('{source}', 'rust', '{roles}')"), "")).await;
        let filter = format!("WHERE n['role'] IN ({})", names.join(", "));
        let filtered = fixture.rows(&sql(&format!("syntax_nodes('{source}', 'rust')"), &filter)).await;
        assert_eq!(chosen, filtered, "{roles}");
        assert!(!chosen.contains("| 0 "), "{chosen}");
    }
}

#[tokio::test]
async fn text_that_is_given_up_is_an_error_of_every_choice_of_roles() {
    let fixture = Fixture::new();
    let count = async |roles: &str| {
        // One byte more than is parsed.
        let sql = format!("SELECT cardinality(syntax_nodes(repeat(' ', 32 * 1024 * 1024 + 1), 'rust', '{roles}'))");
        fixture.value(&sql).await
    };
    assert_eq!(count("error").await, "1");
    assert_eq!(count("definition").await, "0");
}

#[tokio::test]
async fn roles_must_be_known_text_that_is_the_same_for_every_row() {
    let fixture = Fixture::new();
    for (roles, complaint) in [
        ("'definition,verb'", "does not know the role `verb`; it knows definition, call, import, error"),
        ("''", "does not know the role ``"),
        ("NULL", "takes its roles as text"),
        ("role", "the same for every row"),
    ] {
        let sql = format!("SELECT syntax_nodes('x', 'rust', {roles}) FROM (VALUES ('call'), ('error')) AS t (role)");
        let failure = fixture.failure(&sql).await;
        assert!(failure.contains(complaint), "{roles}: {failure}");
    }
}

#[tokio::test]
async fn a_library_user_can_give_roles() {
    use windlass_base::config::SessionSettings;
    use windlass_engine::function::{Functions, Language, Languages, Role, syntax_nodes};
    use windlass_engine::session::Sessions;
    let grammar = Languages::standard().get("python").unwrap().grammar().clone();
    let snake = Language::new("snake", grammar)
        .named_by("assignment", "left")
        .qualified_by("attribute", "object")
        .named_by("attribute", "attribute")
        .counted_in("lambda", "parameters")
        .with_role(Role::Definition, &["assignment", "lambda"])
        .with_owners(&["assignment"]);
    let functions = Functions::standard().with_scalar(syntax_nodes(Languages::standard().with(snake)));
    let sessions = Sessions::new(SessionSettings::default(), functions).unwrap();
    let fixture = Fixture { ctx: sessions.context().unwrap(), sessions };
    insta::assert_snapshot!(nodes(&fixture, "a.b = lambda x, y: 1", "snake", "definition").await);
}
