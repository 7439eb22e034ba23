//! Types, in casts and before literals.

use sqlparser::ast::{ArrayElemTypeDef, DataType, ExactNumberInfo, StructField, TimezoneInfo};

use super::walk::Walk;
use super::{Declared, Given, Node, Part, Rule, Section, Verdict, nodes};

nodes! {
    choice DataType {
        Table: (refused "TABLE as a type" "write a type of a column");
        NamedTable: (refused "TABLE as a type" "write a type of a column");
        Character: (refused "CHARACTER" "write VARCHAR");
        Char(length: (refused "a length of CHAR" "write VARCHAR, and cut the text with `left(…, n)`"));
        CharacterVarying: (refused "CHARACTER VARYING" "write VARCHAR");
        CharVarying: (refused "CHAR VARYING" "write VARCHAR");
        Varchar(length: (refused "a length of VARCHAR" "write VARCHAR, and cut the text with `left(…, n)`"));
        Nvarchar: (refused "NVARCHAR" "write VARCHAR");
        Uuid: (refused "UUID" "write VARCHAR");
        CharacterLargeObject: (refused "CHARACTER LARGE OBJECT" "write VARCHAR");
        CharLargeObject: (refused "CHAR LARGE OBJECT" "write VARCHAR");
        Clob: (refused "CLOB" "write VARCHAR");
        Binary: (refused "BINARY" "write BYTEA");
        Varbinary: (refused "VARBINARY" "write BYTEA");
        Blob: (refused "BLOB" "write BYTEA");
        TinyBlob: (refused "TINYBLOB" "write BYTEA");
        MediumBlob: (refused "MEDIUMBLOB" "write BYTEA");
        LongBlob: (refused "LONGBLOB" "write BYTEA");
        Bytes: (refused "BYTES" "write BYTEA");
        Numeric(digits: carried);
        Decimal(digits: carried);
        DecimalUnsigned: (refused "DECIMAL UNSIGNED" "write DECIMAL");
        BigNumeric: (refused "BIGNUMERIC" "write DECIMAL");
        BigDecimal: (refused "BIGDECIMAL" "write DECIMAL");
        Dec: (refused "DEC" "write DECIMAL");
        DecUnsigned: (refused "DEC UNSIGNED" "write DECIMAL");
        Float(digits: (refused "a precision of FLOAT" "write REAL or DOUBLE"));
        FloatUnsigned: (refused "FLOAT UNSIGNED" "write REAL or DOUBLE");
        TinyInt(width: (refused "a width of TINYINT" "remove it"));
        TinyIntUnsigned(width: (refused "a width of TINYINT" "remove it"));
        UTinyInt: (refused "UTINYINT" "write TINYINT UNSIGNED");
        Int2(width: (refused "a width of INT2" "remove it"));
        Int2Unsigned(width: (refused "a width of INT2" "remove it"));
        SmallInt(width: (refused "a width of SMALLINT" "remove it"));
        SmallIntUnsigned(width: (refused "a width of SMALLINT" "remove it"));
        USmallInt: (refused "USMALLINT" "write SMALLINT UNSIGNED");
        MediumInt: (refused "MEDIUMINT" "write INT");
        MediumIntUnsigned: (refused "MEDIUMINT UNSIGNED" "write INT UNSIGNED");
        Int(width: (refused "a width of INT" "remove it"));
        Int4(width: (refused "a width of INT4" "remove it"));
        Int8(width: (refused "a width of INT8" "remove it"));
        Int16: (refused "INT16" "write SMALLINT");
        Int32: (refused "INT32" "write INT");
        Int64: (refused "INT64" "write BIGINT");
        Int128: (refused "INT128" "write DECIMAL(38, 0)");
        Int256: (refused "INT256" "write DECIMAL(76, 0)");
        Integer(width: (refused "a width of INTEGER" "remove it"));
        IntUnsigned(width: (refused "a width of INT" "remove it"));
        Int4Unsigned(width: (refused "a width of INT4" "remove it"));
        IntegerUnsigned(width: (refused "a width of INTEGER" "remove it"));
        HugeInt: (refused "HUGEINT" "write DECIMAL(38, 0)");
        UHugeInt: (refused "UHUGEINT" "write DECIMAL(38, 0)");
        UInt8: (refused "UINT8" "write TINYINT UNSIGNED");
        UInt16: (refused "UINT16" "write SMALLINT UNSIGNED");
        UInt32: (refused "UINT32" "write INT UNSIGNED");
        UInt64: (refused "UINT64" "write BIGINT UNSIGNED");
        UInt128: (refused "UINT128" "write DECIMAL(38, 0)");
        UInt256: (refused "UINT256" "write DECIMAL(76, 0)");
        BigInt(width: (refused "a width of BIGINT" "remove it"));
        BigIntUnsigned(width: (refused "a width of BIGINT" "remove it"));
        UBigInt: (refused "UBIGINT" "write BIGINT UNSIGNED");
        Int8Unsigned(width: (refused "a width of INT8" "remove it"));
        Signed: (refused "SIGNED" "write BIGINT");
        SignedInteger: (refused "SIGNED INTEGER" "write BIGINT");
        Unsigned: (refused "UNSIGNED" "write BIGINT UNSIGNED");
        UnsignedInteger: (refused "UNSIGNED INTEGER" "write BIGINT UNSIGNED");
        Float4: carried;
        Float32: (refused "FLOAT32" "write REAL");
        Float64: (refused "FLOAT64" "write DOUBLE");
        Real: carried;
        RealUnsigned: (refused "REAL UNSIGNED" "write REAL");
        Float8: carried;
        Double(digits: (refused "a precision of DOUBLE" "write DOUBLE alone"));
        DoubleUnsigned: (refused "DOUBLE UNSIGNED" "write DOUBLE");
        DoublePrecision: carried;
        DoublePrecisionUnsigned: (refused "DOUBLE PRECISION UNSIGNED" "write DOUBLE");
        Bool: carried;
        Boolean: carried;
        Date: carried;
        Date32: (refused "DATE32" "write DATE");
        Time(
            digits: (refused "a precision of TIME" "write TIME alone"),
            zone: (refused "WITH TIME ZONE or TIMETZ" "write TIME")
        );
        Datetime: (refused "DATETIME" "write TIMESTAMP");
        Datetime64: (refused "DATETIME64" "write TIMESTAMP");
        Timestamp(
            digits: (except odd_digits, "a precision of TIMESTAMP other than 0, 3, 6 or 9" "write one of these"),
            zone: (refused "WITH TIME ZONE or TIMESTAMPTZ" "write TIMESTAMP, and `AT TIME ZONE 'UTC'` after the value")
        );
        TimestampNtz: (refused "TIMESTAMP_NTZ" "write TIMESTAMP");
        Interval {
            fields: (refused "units after INTERVAL as a type" "write INTERVAL alone"),
            precision: (refused "a precision of INTERVAL" "write INTERVAL alone"),
        };
        JSON: (refused "JSON" "write VARCHAR");
        JSONB: (refused "JSONB" "write VARCHAR");
        Regclass: (refused "REGCLASS" "write VARCHAR");
        Text: carried;
        TinyText: (refused "TINYTEXT" "write VARCHAR");
        MediumText: (refused "MEDIUMTEXT" "write VARCHAR");
        LongText: (refused "LONGTEXT" "write VARCHAR");
        String(length: (refused "a length of STRING" "write VARCHAR, and cut the text with `left(…, n)`"));
        FixedString: (refused "FIXEDSTRING" "write VARCHAR");
        Bytea: carried;
        Bit: (refused "BIT" "write BYTEA or BIGINT");
        BitVarying: (refused "BIT VARYING" "write BYTEA or BIGINT");
        VarBit: (refused "VARBIT" "write BYTEA or BIGINT");
        Custom: (refused "a type that the engine does not know" "write a type such as BIGINT, DOUBLE, VARCHAR or TIMESTAMP, or call `arrow_cast`");
        Array(element: carried);
        Map: (refused "MAP as a type" "make the map with `map(…)` of values that have their types");
        Tuple: (refused "TUPLE" "write STRUCT");
        Nested: (refused "NESTED" "write an array of STRUCT");
        Enum: (refused "ENUM" "write VARCHAR");
        Set: (refused "SET" "write VARCHAR[]");
        Struct(fields: carried, brackets: (nothing "which brackets were written"));
        Union: (refused "UNION as a type" "write STRUCT");
        Nullable: (refused "NULLABLE" "remove it: values are nullable unless the contract says otherwise");
        LowCardinality: (refused "LOWCARDINALITY" "remove it");
        Unspecified: (refused "a cast without a type" "write the type");
        Trigger: (refused "TRIGGER" "write a type of a column");
        AnyType: (refused "ANY TYPE" "write a type of a column");
        GeometricType: (refused "POINT or LINE or LSEG or BOX or PATH or POLYGON or CIRCLE" "write STRUCT with the coordinates");
        TsVector: (refused "TSVECTOR" "write VARCHAR");
        TsQuery: (refused "TSQUERY" "write VARCHAR");
    }
    choice ExactNumberInfo {
        None: carried;
        Precision(digits: carried);
        PrecisionAndScale(digits: carried, scale: carried);
    }
    choice TimezoneInfo {
        None: carried;
        WithTimeZone: (refused "WITH TIME ZONE" "write TIMESTAMP, and `AT TIME ZONE 'UTC'` after the value");
        WithoutTimeZone: carried;
        Tz: (refused "TIMESTAMPTZ" "write TIMESTAMP, and `AT TIME ZONE 'UTC'` after the value");
    }
    structure StructField {
        field_name: carried,
        field_type: carried,
        options: (refused "OPTIONS" "remove it"),
    }
    choice ArrayElemTypeDef {
        None: (refused "ARRAY without the type of its elements" "write it, such as `BIGINT[]`");
        AngleBracket(element: carried);
        SquareBracket(element: carried, length: carried);
        Parenthesis: (refused "ARRAY with the type of its elements in parentheses" "write it with brackets, such as `BIGINT[]`");
    }
}

fn odd_digits(digits: &Option<u64>) -> bool {
    digits.is_some_and(|digits| ![0, 3, 6, 9].contains(&digits))
}
