use datafusion::arrow::array::{
    Array, ArrayRef, AsArray, BinaryArray, BooleanArray, Date32Array, Decimal128Array, Float32Array, Float64Array,
    Int8Array, Int64Array, StringArray, StringViewArray, TimestampMicrosecondArray, UInt64Array,
};
use datafusion::arrow::compute::cast;
use datafusion::arrow::datatypes::{Fields, Int64Type, IntervalUnit, TimeUnit};
use datafusion::common::config::ConfigOptions;
use datafusion::logical_expr::col;
use datafusion::prelude::SessionContext;
use windlass_base::config::SessionSettings;

use super::*;
use crate::function::Functions;
use crate::session::Sessions;

/// A column with its bounds.
type Column = (ScalarValue, ScalarValue, ArrayRef);

fn unbounded(values: ArrayRef) -> Column {
    (ScalarValue::Null, ScalarValue::Null, values)
}

fn whole(lo: i64, hi: i64, values: impl IntoIterator<Item = i64>) -> Column {
    let values = Int64Array::from_iter_values(values);
    (ScalarValue::Int64(Some(lo)), ScalarValue::Int64(Some(hi)), Arc::new(values))
}

fn text(value: &str) -> ScalarValue {
    ScalarValue::Utf8(Some(value.to_owned()))
}

fn decimals(values: Vec<Option<i128>>, digits: u8, scale: i8) -> Decimal128Array {
    Decimal128Array::from(values).with_precision_and_scale(digits, scale).unwrap()
}

fn field(name: &str, data_type: &DataType) -> FieldRef {
    Arc::new(Field::new(name, data_type.clone(), true))
}

fn called(args: Vec<ColumnarValue>, number_rows: usize) -> ColumnarValue {
    let arg_fields = args.iter().map(|arg| field("arg", &arg.data_type())).collect();
    let return_field = Arc::new(Field::new(NAME, DataType::Binary, false));
    let config_options = Arc::new(ConfigOptions::default());
    let args = ScalarFunctionArgs { args, arg_fields, number_rows, return_field, config_options };
    zorder().invoke_with_args(args).unwrap()
}

fn keys_of(columns: &[Column]) -> Vec<Vec<u8>> {
    let rows = columns[0].2.len();
    let args = columns.iter().flat_map(|(lo, hi, values)| {
        let bounds = [lo, hi].map(|bound| ColumnarValue::Scalar(bound.clone()));
        bounds.into_iter().chain([ColumnarValue::Array(Arc::clone(values))])
    });
    let keys = called(args.collect(), rows).into_array(rows).unwrap();
    let keys: Vec<_> = keys.as_binary::<i32>().iter().map(|key| key.unwrap().to_vec()).collect();
    assert!(keys.iter().all(|key| key.len() == columns.len() * 4));
    keys
}

/// The keys of one column, which are its buckets.
fn buckets_of(column: Column) -> Vec<u32> {
    keys_of(&[column]).into_iter().map(|key| u32::from_be_bytes(key.try_into().unwrap())).collect()
}

/// The bits of two numbers in turns, one by one.
fn morton(first: u32, second: u32) -> Vec<u8> {
    let bits = (0..32).rev().flat_map(|bit| [(first >> bit) & 1, (second >> bit) & 1]);
    bits.fold(0_u64, |key, bit| (key << 1) | u64::from(bit)).to_be_bytes().to_vec()
}

fn planned(types: &[DataType], literals: &[Option<&ScalarValue>]) -> Result<FieldRef> {
    let fields: Vec<_> = types.iter().map(|data_type| field("arg", data_type)).collect();
    zorder().return_field_from_args(ReturnFieldArgs { arg_fields: &fields, scalar_arguments: literals })
}

#[test]
fn bits_are_taken_in_turns() {
    let numbers = [0, 1, 2, 3, 5, 100, 0x1234_5678, u32::MAX];
    for first in numbers {
        for second in numbers {
            let column = |value: u32| whole(0, u32::MAX.into(), [value.into()]);
            assert_eq!(keys_of(&[column(first), column(second)]), [morton(first, second)], "{first} {second}");
        }
    }
    // Three columns: of each the highest bit, then of each the second.
    let column = |value: u32| whole(0, u32::MAX.into(), [value.into()]);
    let key = keys_of(&[column(0x8000_0000), column(0x4000_0000), column(0xC000_0000)]);
    assert_eq!(key, [[0b1010_1100_u8, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]]);
}

#[test]
fn keys_ascend_with_each_column_while_the_others_stay() {
    let values = [-7, -1, 0, 1, 2, 3, 17, 100, 101, 5000];
    for fixed in values {
        for (lo, hi) in [(-7, 5000), (0, 100), (3, 3), (100, 0), (i64::MIN, i64::MAX)] {
            let (moving, still) = (whole(lo, hi, values), whole(0, 99, [fixed; 10]));
            assert!(keys_of(&[moving.clone(), still.clone()]).is_sorted(), "{lo} {hi} {fixed}");
            assert!(keys_of(&[still, moving]).is_sorted(), "{lo} {hi} {fixed}");
        }
    }
}

#[test]
fn values_beyond_a_bound_are_in_its_bucket() {
    assert_eq!(buckets_of(whole(10, 20, [i64::MIN, 9, 10, 20, 21, i64::MAX])), [0, 0, 0, u32::MAX, u32::MAX, u32::MAX]);
    assert_eq!(buckets_of(whole(10, 10, [9, 10, 11])), [0, 0, u32::MAX]);
    let middle = buckets_of(whole(i64::MIN, i64::MAX, [-1, 0, 1]));
    assert_eq!(middle, [0x7FFF_FFFF, 0x8000_0000, 0x8000_0000]);
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "item-09", "item-10", "item-99", "item-99x", "z"]));
    let buckets = buckets_of((text("item-10"), text("item-99"), texts));
    assert_eq!(buckets, [0, 0, 0, u32::MAX, u32::MAX, u32::MAX]);
}

#[test]
fn nulls_come_first() {
    let arrays: [ArrayRef; 4] = [
        Arc::new(Int64Array::from(vec![None, Some(i64::MIN), Some(-5), Some(5)])),
        Arc::new(StringArray::from(vec![None, Some(""), Some("a"), Some("b")])),
        Arc::new(Float64Array::from(vec![None, Some(f64::NEG_INFINITY), Some(-1.0), Some(1.0)])),
        Arc::new(decimals(vec![None, Some(-999), Some(0), Some(5)], 3, 0)),
    ];
    for array in arrays {
        let buckets = buckets_of(unbounded(Arc::clone(&array)));
        assert_eq!(buckets[0], 0, "{array:?}");
        assert!(buckets.is_sorted() && buckets[2] > 0 && buckets[3] > buckets[2], "{array:?}: {buckets:?}");
    }
}

#[test]
fn texts_are_divided_after_their_common_prefix() {
    let texts = vec!["customer-0001", "customer-0002", "customer-0500", "customer-0501", "customer-0999"];
    let (lo, hi) = (text("customer-0001"), text("customer-0999"));
    for array in [Arc::new(StringArray::from(texts.clone())) as ArrayRef, Arc::new(StringViewArray::from(texts))] {
        let buckets = buckets_of((lo.clone(), hi.clone(), array));
        assert!(buckets.windows(2).all(|pair| pair[0] < pair[1]), "{buckets:?}");
        assert_eq!((buckets[0], buckets[4]), (0, u32::MAX));
        assert!((0x4000_0000..0xC000_0000).contains(&buckets[2]), "{buckets:?}");
    }
    // Without bounds: the first four bytes.
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["", "\u{1}", "abcd", "abcde", "b"]));
    assert_eq!(buckets_of(unbounded(texts)), [0, 0x0100_0000, 0x6162_6364, 0x6162_6364, 0x6200_0000]);
    // Bounds that differ only behind what a bucket can tell apart.
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["a", "a\0", "a\0\0\0\0\0\0\0\0\0", "ab"]));
    assert!(buckets_of((text("a"), text("a\0\0\0\0\0\0\0\0\0"), texts)).is_sorted());
}

#[test]
fn floats_have_one_zero_and_one_nan() {
    let values =
        vec![-f64::NAN, f64::NEG_INFINITY, f64::MIN, -1.0, -0.0, 0.0, 5e-324, 1.0, f64::MAX, f64::INFINITY, f64::NAN];
    let number = |value: f64| ScalarValue::Float64(Some(value));
    let bounds = [
        (ScalarValue::Null, ScalarValue::Null),
        (number(f64::MIN), number(f64::MAX)),
        (number(f64::NEG_INFINITY), number(f64::INFINITY)),
        (number(-1.0), number(1.0)),
        (number(0.0), number(5e-324)),
        (number(-0.0), number(0.0)),
        (number(1.0), number(f64::INFINITY)),
        (number(f64::NAN), number(f64::NAN)),
        (number(1.0), number(-1.0)),
    ];
    for (lo, hi) in bounds {
        let buckets = buckets_of((lo.clone(), hi.clone(), Arc::new(Float64Array::from(values.clone()))));
        assert!(buckets[1..].is_sorted(), "{lo} {hi}: {buckets:?}");
        assert_eq!((buckets[0], buckets[10]), (u32::MAX, u32::MAX), "{lo} {hi}");
        assert_eq!(buckets[4], buckets[5], "{lo} {hi}");
    }
    let quarters: ArrayRef = Arc::new(Float32Array::from(vec![-1.0, -0.5, 0.0, 0.5, 1.0]));
    let buckets = buckets_of((number(-1.0), number(1.0), quarters));
    assert_eq!(buckets, [0, 0x3FFF_FFFF, 0x7FFF_FFFF, 0xBFFF_FFFF, u32::MAX]);
}

#[test]
fn the_order_of_one_column_is_its_own() {
    let numbers = || (0..2000_i64).map(|n| n * 7919 % 2003);
    let columns = [
        whole(0, 2002, numbers()),
        unbounded(Arc::new(Int64Array::from_iter_values(numbers().map(|n| n << 40)))),
        (text("n0"), text("n9"), Arc::new(StringArray::from_iter_values(numbers().map(|n| format!("n{n:04}"))))),
        unbounded(Arc::new(Float64Array::from_iter_values(numbers().map(|n| n as f64 / 7.0 - 100.0)))),
    ];
    for column in columns {
        let buckets = buckets_of(column.clone());
        let mut rows: Vec<_> = numbers().zip(&buckets).collect();
        rows.sort_by_key(|(_, bucket)| **bucket);
        assert!(rows.is_sorted_by_key(|(number, _)| *number), "{column:?}");
    }
}

#[test]
fn every_type_with_an_order_has_keys() {
    let numbers: ArrayRef = Arc::new(Int8Array::from(vec![Some(0), Some(1), Some(5), Some(100), None]));
    let micros = DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()));
    let digits = DataType::Dictionary(Box::new(DataType::Int32), Box::new(DataType::Utf8));
    let types =
        [DataType::Int16, DataType::Int32, DataType::Int64, DataType::UInt8, DataType::UInt16, DataType::UInt32];
    let types = types.into_iter().chain([DataType::UInt64, DataType::Float16, DataType::Float32, DataType::Float64]);
    let types = types.chain([DataType::Decimal32(9, 2), DataType::Decimal64(18, 2), DataType::Decimal128(38, 2)]);
    let types = types.chain([DataType::Decimal256(60, 2), DataType::Timestamp(TimeUnit::Nanosecond, None), micros]);
    let types = types.chain([DataType::Duration(TimeUnit::Second), DataType::Int8]);
    for data_type in types {
        let column = |form: &ArrayRef| cast(form, &data_type).unwrap();
        let bound = |value: i8| ScalarValue::Int8(Some(value)).cast_to(&data_type).unwrap();
        let buckets = buckets_of((bound(0), bound(100), column(&numbers)));
        assert_eq!(buckets, [0, 42_949_672, 214_748_364, u32::MAX, 0], "{data_type}");
        let buckets = buckets_of(unbounded(column(&numbers)));
        assert!(buckets[..4].is_sorted() && buckets[4] == 0, "{data_type}: {buckets:?}");
        planned(&[DataType::Null, DataType::Null, data_type.clone()], &[Some(&ScalarValue::Null); 3]).unwrap();
    }
    let times = [
        (DataType::Int32, DataType::Time32(TimeUnit::Second)),
        (DataType::Int64, DataType::Time64(TimeUnit::Microsecond)),
    ];
    for (whole, data_type) in times {
        let bound = |value: i8| ScalarValue::Int8(Some(value)).cast_to(&whole).unwrap();
        let column = cast(&cast(&numbers, &whole).unwrap(), &data_type).unwrap();
        let buckets = buckets_of((bound(0), bound(100), column));
        assert_eq!(buckets, [0, 42_949_672, 214_748_364, u32::MAX, 0], "{data_type}");
    }
    let dates: ArrayRef = Arc::new(Date32Array::from(vec![0, 10_000, 20_000]));
    for data_type in [DataType::Date32, DataType::Date64] {
        let bounds = (text("1970-01-01"), text("2024-10-04"));
        let buckets = buckets_of((bounds.0, bounds.1, cast(&dates, &data_type).unwrap()));
        assert_eq!(buckets, [0, 0x7FFF_FFFF, u32::MAX], "{data_type}");
    }
    let bits: ArrayRef = Arc::new(BooleanArray::from(vec![None, Some(false), Some(true)]));
    assert_eq!(buckets_of(unbounded(bits)), [0, 0, u32::MAX]);
    let texts: ArrayRef = Arc::new(StringArray::from(vec!["aa", "ab", "b0"]));
    let text_types = [DataType::Utf8, DataType::LargeUtf8, DataType::Utf8View, digits, DataType::Binary];
    for data_type in text_types.into_iter().chain([DataType::LargeBinary, DataType::BinaryView]) {
        let buckets = buckets_of(unbounded(cast(&texts, &data_type).unwrap()));
        assert_eq!(buckets, [0x6161_0000, 0x6162_0000, 0x6230_0000], "{data_type}");
    }
    let fixed = cast(&BinaryArray::from_vec(vec![b"aa".as_slice(), b"ab"]), &DataType::FixedSizeBinary(2)).unwrap();
    assert_eq!(buckets_of(unbounded(fixed)), [0x6161_0000, 0x6162_0000]);
}

#[test]
fn bounds_are_taken_in_the_unit_of_the_column() {
    let cents: ArrayRef = Arc::new(decimals(vec![Some(0), Some(500), Some(1000)], 9, 2));
    let (lo, hi) = (ScalarValue::Int64(Some(0)), ScalarValue::Int64(Some(10)));
    assert_eq!(buckets_of((lo, hi, cents)), [0, 0x7FFF_FFFF, u32::MAX]);
    let micros: ArrayRef = Arc::new(TimestampMicrosecondArray::from(vec![0, 1_000_000, 2_000_000]));
    let seconds = |value| ScalarValue::TimestampSecond(Some(value), None);
    assert_eq!(buckets_of((seconds(0), seconds(2), micros)), [0, 0x7FFF_FFFF, u32::MAX]);
    let large: ArrayRef = Arc::new(UInt64Array::from(vec![0, 1 << 63, u64::MAX]));
    assert_eq!(buckets_of(unbounded(large)), [0, 0x8000_0000, u32::MAX]);
    // A bound that is no value of the column's type counts as unknown.
    let numbers: ArrayRef = Arc::new(Int8Array::from(vec![-128, 127]));
    assert_eq!(buckets_of((ScalarValue::Int64(Some(-1000)), ScalarValue::Int8(Some(0)), numbers)), [0, u32::MAX]);
}

#[test]
fn constants_have_the_key_of_their_column() {
    let literal = |value: i64| ColumnarValue::Scalar(ScalarValue::Int64(Some(value)));
    let column = ColumnarValue::Array(whole(0, 7, [1, 2]).2);
    let mixed = called(vec![literal(0), literal(7), column, literal(0), literal(7), literal(5)], 2);
    let expected = keys_of(&[whole(0, 7, [1, 2]), whole(0, 7, [5, 5])]);
    let mixed = mixed.into_array(2).unwrap();
    assert_eq!(mixed.as_binary::<i32>().iter().flatten().collect::<Vec<_>>(), expected);
    let ColumnarValue::Scalar(ScalarValue::Binary(Some(key))) = called(vec![literal(0), literal(7), literal(5)], 3)
    else {
        panic!("a call with literals is a literal")
    };
    assert_eq!(vec![key], keys_of(&[whole(0, 7, [5])]));
    assert!(keys_of(&[whole(0, 7, [])]).is_empty());
}

type Cell = (i64, i64);

fn grid(side: i64) -> Vec<Cell> {
    (0..side).flat_map(|x| (0..side).map(move |y| (x, y))).collect()
}

/// The sides of the rectangles around each `rows` cells, in the order of their keys.
fn rectangles(cells: Vec<Cell>, columns: &[Column], rows: usize) -> Vec<(i64, i64)> {
    let mut sorted: Vec<_> = keys_of(columns).into_iter().zip(cells).collect();
    sorted.sort();
    let side = |chunk: &[(Vec<u8>, Cell)], of: fn(&Cell) -> i64| {
        let values: Vec<_> = chunk.iter().map(|(_, cell)| of(cell)).collect();
        values.iter().max().unwrap() - values.iter().min().unwrap() + 1
    };
    sorted.chunks(rows).map(|chunk| (side(chunk, |cell| cell.0), side(chunk, |cell| cell.1))).collect()
}

#[test]
fn a_chunk_of_a_grid_is_a_square() {
    let cells = grid(64);
    let columns = [whole(0, 63, cells.iter().map(|cell| cell.0)), whole(0, 63, cells.iter().map(|cell| cell.1))];
    let rectangles = rectangles(cells, &columns, 64);
    assert!(rectangles.iter().all(|(x, y)| *x <= 8 && *y <= 8), "{rectangles:?}");
}

#[test]
fn texts_and_small_numbers_of_a_wide_type_count_the_same() {
    let cells = grid(32);
    let texts = StringArray::from_iter_values(cells.iter().map(|cell| format!("part-{:02}", cell.0)));
    let numbers = whole(0, 31, cells.iter().map(|cell| cell.1));
    let columns = [(text("part-00"), text("part-31"), Arc::new(texts) as ArrayRef), numbers];
    let rectangles = rectangles(cells, &columns, 16);
    assert!(rectangles.iter().all(|(x, y)| *x <= 10 && *y <= 8), "{rectangles:?}");
}

#[test]
fn unfit_calls_are_refused_by_the_plan() {
    let (long, null) = (DataType::Int64, ScalarValue::Null);
    let refused =
        |types: &[DataType], literals: &[Option<&ScalarValue>]| planned(types, literals).unwrap_err().to_string();
    let count = refused(&[long.clone(), long.clone()], &[Some(&null), Some(&null)]);
    assert!(count.contains("1 to 16 columns") && count.contains("2 arguments"), "{count}");
    assert!(refused(&[], &[]).contains("0 arguments"));
    let many = refused(&vec![long.clone(); 51], &[Some(&null); 51]);
    assert!(many.contains("51 arguments"), "{many}");
    assert!(planned(&vec![long.clone(); 48], &[Some(&null); 48]).is_ok_and(|field| !field.is_nullable()));
    let variable = refused(&vec![long.clone(); 3], &[None, Some(&null), None]);
    assert!(variable.contains("takes literals"), "{variable}");
    let list = DataType::new_list(long, true);
    for other in [DataType::Struct(Fields::empty()), list, DataType::Interval(IntervalUnit::DayTime)] {
        let order = refused(&[DataType::Null, DataType::Null, other.clone()], &[Some(&null), Some(&null), None]);
        assert!(order.contains("cannot order values of type"), "{order}");
        let compare = refused(&[other, DataType::Null, DataType::Date32], &[Some(&null), Some(&null), None]);
        assert!(compare.contains("cannot compare a bound of type"), "{compare}");
    }
}

async fn rows_of(ctx: &SessionContext, order: Option<Expr>, sql: &str) -> Vec<i64> {
    let mut rows = ctx.sql(sql).await.unwrap();
    if let Some(order) = order {
        rows = rows.sort(vec![order.sort(true, true)]).unwrap();
    }
    let batches = rows.collect().await.unwrap();
    batches.iter().flat_map(|batch| batch.column(0).as_primitive::<Int64Type>().values().to_vec()).collect()
}

#[tokio::test]
async fn sessions_sort_by_the_key() {
    let sessions = Sessions::new(SessionSettings::default(), Functions::standard()).unwrap();
    let ctx = sessions.context().unwrap();
    let table = "SELECT n, n % 4 AS x, n / 4 AS y FROM (VALUES (0), (1), (2), (3), (4), (5), (6), (7)) AS t (n)";
    let bound = |value: i64| Some(ScalarValue::Int64(Some(value)));
    let key = zorder_key(&[(col("y"), bound(0), bound(3)), (col("x"), bound(0), bound(3))]);
    let sorted = rows_of(&ctx, Some(key), table).await;
    assert_eq!(sorted, [0, 1, 4, 5, 2, 3, 6, 7]);
    let sql = format!("SELECT n FROM ({table}) AS t ORDER BY windlass_zorder(0, 3, y, 0, 3, x)");
    assert_eq!(rows_of(&ctx, None, &sql).await, sorted);
    let by_type = zorder_key(&[(col("n"), None, None)]);
    assert_eq!(rows_of(&ctx, Some(by_type), table).await, [0, 1, 2, 3, 4, 5, 6, 7]);
    let failure = ctx.sql(&format!("SELECT windlass_zorder(n, 3, n) FROM ({table}) AS t")).await.unwrap_err();
    assert!(failure.to_string().contains("takes literals"), "{failure}");
}
