//! The page that says what is wrong.

use askama::Template;
use windlass_base::error::{Coded, full_message};

use super::{Page, Section, html};
use crate::error::UiError;

#[derive(Template)]
#[template(path = "failed.html")]
struct FailedPage {
    page: Page,
    code: &'static str,
    message: String,
    help: Option<String>,
}

/// The page about an error.
pub(crate) fn error_page(error: &UiError) -> String {
    let title = match error.status().as_u16() {
        404 => "There is no such page",
        400..=499 => "This request is not answered",
        _ => "The page cannot be shown",
    };
    html(&FailedPage {
        page: Page::new(title, Section::None),
        code: error.code().0,
        message: full_message(error),
        help: error.help(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_address_says_is_shown_as_text() {
        let html = error_page(&UiError::NoSuchPage { path: "/<script>alert(1)</script>".to_owned() });
        assert!(html.contains("WL0751") && html.contains("&#60;script&#62;"), "{html}");
        assert!(!html.contains("<script>alert"), "{html}");
    }
}
