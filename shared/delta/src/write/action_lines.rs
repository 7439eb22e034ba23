//! Lists of actions of one kind in the one form in which they are serialised: as lines of the log, `{"add":{…}}`.

use deltalake::kernel::{Add, AddCDCFile};
use serde::{Deserialize, Serialize};

/// A line that adds a data file.
#[derive(Serialize, Deserialize)]
pub(crate) struct AddLine<A = Add> {
    pub(crate) add: A,
}

/// A line that names a change data file.
#[derive(Serialize, Deserialize)]
pub(crate) struct CdcLine<A = AddCDCFile> {
    pub(crate) cdc: A,
}

/// Lists of data files, for `#[serde(with)]`.
pub(crate) mod adds {
    use deltalake::kernel::Add;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::AddLine;

    pub(crate) fn serialize<S: Serializer>(files: &[Add], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(files.iter().map(|add| AddLine { add }))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Add>, D::Error> {
        Ok(Vec::<AddLine>::deserialize(deserializer)?.into_iter().map(|line| line.add).collect())
    }
}

/// Lists of change data files, for `#[serde(with)]`.
pub(crate) mod change_files {
    use deltalake::kernel::AddCDCFile;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::CdcLine;

    pub(crate) fn serialize<S: Serializer>(files: &[AddCDCFile], serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_seq(files.iter().map(|cdc| CdcLine { cdc }))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<AddCDCFile>, D::Error> {
        Ok(Vec::<CdcLine>::deserialize(deserializer)?.into_iter().map(|line| line.cdc).collect())
    }
}

#[cfg(test)]
mod tests {
    use deltalake::kernel::{Action, Add, AddCDCFile};
    use serde::{Deserialize, Serialize};

    #[derive(Debug, PartialEq, Serialize, Deserialize)]
    struct Lists {
        #[serde(with = "super::adds")]
        adds: Vec<Add>,
        #[serde(with = "super::change_files")]
        changes: Vec<AddCDCFile>,
    }

    #[test]
    fn lists_are_serialised_as_the_lines_of_the_log() {
        let add = Add { path: "a b=1/part.parquet".to_owned(), size: 3, data_change: true, ..Add::default() };
        let change = AddCDCFile { path: "_change_data/c.parquet".to_owned(), size: 4, ..AddCDCFile::default() };
        let lists = Lists { adds: vec![add.clone()], changes: vec![change.clone()] };
        let value = serde_json::to_value(&lists).unwrap();
        assert_eq!(value["adds"], serde_json::to_value([Action::Add(add)]).unwrap());
        assert_eq!(value["changes"], serde_json::to_value([Action::Cdc(change)]).unwrap());
        assert_eq!(serde_json::from_value::<Lists>(value).unwrap(), lists);
    }
}
