//! Conversions between our types and messages.

use windlass_base::ids::{AppId, NodeName, RunSequence, TableVersion};
use windlass_evidence::artifact::{CursorStatus, Refresh, SourceCursor};

use super::v1;

/// The requested refresh as a message; `None` if there is none.
pub fn refresh_to_wire(refresh: &Refresh) -> Option<v1::Refresh> {
    let bounds = |bounds: &[(Option<NodeName>, u64)]| {
        let bound = |(source, version): &(Option<NodeName>, u64)| v1::SourceVersion {
            source: source.as_ref().map(ToString::to_string),
            version: *version,
        };
        bounds.iter().map(bound).collect()
    };
    (!refresh.is_empty()).then(|| v1::Refresh {
        full: refresh.full.clone(),
        from_versions: bounds(&refresh.from_versions),
        to_versions: bounds(&refresh.to_versions),
    })
}

/// The requested refresh of a message.
pub fn refresh_from_wire(refresh: Option<v1::Refresh>) -> Refresh {
    let refresh = refresh.unwrap_or_default();
    let bounds = |bounds: Vec<v1::SourceVersion>| {
        bounds.into_iter().map(|bound| (bound.source.map(NodeName::new), bound.version)).collect()
    };
    Refresh {
        full: refresh.full,
        from_versions: bounds(refresh.from_versions),
        to_versions: bounds(refresh.to_versions),
    }
}

/// A stage's cursors as a message.
pub fn cursor_to_wire(status: CursorStatus) -> v1::Cursor {
    let source = |cursor: SourceCursor| v1::SourceCursor {
        source: cursor.source.to_string(),
        table_id: cursor.table_id,
        version: cursor.version,
        behind: cursor.behind,
    };
    v1::Cursor {
        stage: status.stage.to_string(),
        app_id: status.app_id.to_string(),
        last_run: status.last_run.map(|sequence| sequence.0),
        version: status.version.map(|version| version.0),
        sources: status.sources.into_iter().map(source).collect(),
    }
}

/// The cursors of a message.
pub fn cursor_from_wire(cursor: v1::Cursor) -> CursorStatus {
    let source = |cursor: v1::SourceCursor| SourceCursor {
        source: NodeName::new(cursor.source),
        table_id: cursor.table_id,
        version: cursor.version,
        behind: cursor.behind,
    };
    CursorStatus {
        stage: NodeName::new(cursor.stage),
        app_id: AppId::new(cursor.app_id),
        last_run: cursor.last_run.map(RunSequence),
        version: cursor.version.map(TableVersion),
        sources: cursor.sources.into_iter().map(source).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_requested_refresh_round_trips() {
        let refresh = Refresh {
            full: vec!["tag:layer=semantic+".to_owned(), Refresh::EVERYTHING.to_owned()],
            from_versions: vec![(None, 3), (Some("orders".into()), 0)],
            to_versions: vec![(Some("orders".into()), u64::MAX)],
        };
        assert_eq!(refresh_from_wire(refresh_to_wire(&refresh)), refresh);
        assert_eq!(refresh_to_wire(&Refresh::default()), None);
        assert_eq!(refresh_from_wire(None), Refresh::default());
    }
}
