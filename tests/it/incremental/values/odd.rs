//! Rows with special values.

use std::sync::Arc;

use datafusion::arrow::array::{
    ArrayRef, Decimal128Array, Float32Array, Float64Array, Float64Builder, Int64Array, ListBuilder, RecordBatch,
    StringArray, StructArray,
};
use datafusion::arrow::datatypes::{DataType, Field};
use rand::Rng;
use rand::rngs::StdRng;
use rand::seq::IndexedRandom;

use crate::delta_read::tables::{array, batch};

/// Floats that are equal to each other by some definition of equality, and some that are not.
pub(super) const FLOATS: [u64; 8] = [
    0,                     // 0.0
    1 << 63,               // -0.0
    0x7ff8_0000_0000_0000, // the NaN that most programs write
    0xfff8_0000_0000_0000, // the one that 0.0 / 0.0 makes on many machines
    0x7ff8_0000_0000_0abc, // one with a payload
    0x7ff0_0000_0000_0000, // infinity
    0x3ff8_0000_0000_0000, // 1.5
    0xbff8_0000_0000_0000, // -1.5
];

/// Times with more digits than a table can store, before and after 1970, and the same in whole microseconds.
const TIMES: [&str; 6] = [
    "2026-01-02T03:04:05.000001001",
    "2026-01-02T03:04:05.000001999",
    "2026-01-02T03:04:05.000001",
    "1969-12-31T23:59:59.999999999",
    "1969-12-31T23:59:59.999999",
    "2026-01-02T03:04:06",
];

/// A row; its `id` is its own.
#[derive(Debug, Clone)]
pub(super) struct Odd {
    pub(super) id: i64,
    pub(super) float: Option<f64>,
    pub(super) single: Option<f32>,
    /// The fields of a struct that is not null.
    pub(super) inside: (Option<f64>, Option<i64>),
    pub(super) list: Vec<Option<f64>>,
    pub(super) time: &'static str,
    /// In hundredths.
    pub(super) price: i128,
}

impl Odd {
    pub(super) fn random(id: i64, random: &mut StdRng) -> Self {
        let mut float = || {
            let bits = FLOATS.choose(random).copied().filter(|_| random.random_bool(0.9));
            bits.map(f64::from_bits)
        };
        let (one, other) = (float(), float());
        let list = [float(), float()];
        let single = float().map(|value| match value.is_nan() {
            true => f32::from_bits(if value.is_sign_negative() { 0xffc0_0001 } else { 0x7fc0_0000 }),
            false => value as f32,
        });
        Self {
            id,
            float: one,
            single,
            inside: (other, random.random_bool(0.5).then_some(1)),
            list: list[..random.random_range(0..=2)].to_vec(),
            time: TIMES.choose(random).unwrap(),
            price: random.random_range(-3..3) * 10,
        }
    }

    /// A row of which only the id and the float matter.
    pub(super) fn float(id: i64, float: f64) -> Self {
        let (inside, list) = ((Some(float), None), vec![Some(float)]);
        Self { id, float: Some(float), single: Some(1.0), inside, list, time: TIMES[0], price: 0 }
    }

    /// A row of which only the id and the time matter.
    pub(super) fn time(id: i64, time: &'static str) -> Self {
        Self { time, ..Self::float(id, 1.0) }
    }
}

pub(super) fn rows(rows: &[Odd]) -> RecordBatch {
    let mut lists = ListBuilder::new(Float64Builder::new());
    for row in rows {
        lists.append_value(row.list.iter().copied());
    }
    let fields = vec![Field::new("f", DataType::Float64, true), Field::new("n", DataType::Int64, true)];
    let inside: Vec<ArrayRef> = vec![
        Arc::new(rows.iter().map(|row| row.inside.0).collect::<Float64Array>()),
        Arc::new(rows.iter().map(|row| row.inside.1).collect::<Int64Array>()),
    ];
    let prices = Decimal128Array::from_iter_values(rows.iter().map(|row| row.price));
    batch(vec![
        ("id", array(Int64Array::from_iter_values(rows.iter().map(|row| row.id)))),
        ("f", array(rows.iter().map(|row| row.float).collect::<Float64Array>())),
        ("g", array(rows.iter().map(|row| row.single).collect::<Float32Array>())),
        ("s", array(StructArray::new(fields.into(), inside, None))),
        ("l", array(lists.finish())),
        ("at", array(StringArray::from_iter_values(rows.iter().map(|row| row.time)))),
        ("price", array(prices.with_precision_and_scale(10, 2).unwrap())),
    ])
}
