//! Windows, and what results from settings.

use std::collections::BTreeMap;

use super::*;

const HOUR: Duration = Duration::from_secs(60 * 60);

#[test]
fn windows_are_read_and_written() {
    let cases = [("01:00-05:00", (60, 300)), ("22:30-05:15", (1_350, 315)), ("00:00-24:00", (0, 1_440))];
    for (text, (from, to)) in cases {
        assert_eq!(Window::parse(text), Some(Window { from, to }), "{text}");
        assert_eq!(Window { from, to }.to_string(), text);
    }
    assert_eq!(Window::parse(" 01:00 - 05:00 "), Window::parse("01:00-05:00"));
    let wrong =
        ["", "01:00", "1:00-5:00", "01:00-01:00", "24:00-05:00", "00:00-24:01", "01:60-02:00", "01-05", "+1:00-05:00"];
    for text in wrong {
        assert_eq!(Window::parse(text), None, "{text}");
    }
}

#[test]
fn a_window_is_open_from_its_first_minute_to_before_its_end() {
    let open = |text: &str, minute: u16| Window::parse(text).unwrap().is_open(minute);
    assert_eq!([59, 60, 299, 300].map(|minute| open("01:00-05:00", minute)), [false, true, true, false]);
    assert_eq!([1_319, 1_320, 0, 299, 300].map(|minute| open("22:00-05:00", minute)), [false, true, true, true, false]);
    assert!((0..1_440).all(|minute| open("00:00-24:00", minute)));
}

#[test]
fn settings_that_say_nothing_give_the_defaults() {
    assert_eq!(MaintenanceSettings::default().policy(), MaintenancePolicy::default());
}

#[test]
fn settings_refine_others_key_by_key() {
    let project = MaintenanceSettings {
        optimize: OptimizeSettings {
            enabled: Some(false),
            small_files: Some(4),
            zorder: Some(vec!["a".into()]),
            ..OptimizeSettings::default()
        },
        vacuum: VacuumSettings { retention: Some(2 * DAY), ..VacuumSettings::default() },
        keep: KeepSettings { runs: Some(3), ..KeepSettings::default() },
        readers: Some(Readers::Any),
        ..MaintenanceSettings::default()
    };
    let stage = MaintenanceSettings {
        optimize: OptimizeSettings { enabled: Some(true), zorder: Some(Vec::new()), ..OptimizeSettings::default() },
        vacuum: VacuumSettings { full_every: Some(HOUR), ..VacuumSettings::default() },
        keep: KeepSettings { versions: Some(vec![3]), ..KeepSettings::default() },
        checkpoint_every: Some(20),
        ..MaintenanceSettings::default()
    };
    let policy = stage.over(&project).policy();
    let defaults = MaintenancePolicy::default();
    let expected = MaintenancePolicy {
        optimize: OptimizePolicy { enabled: true, small_files: 4, ..defaults.optimize.clone() },
        vacuum: VacuumPolicy { retention: 2 * DAY, full_every: HOUR, ..defaults.vacuum.clone() },
        keep: KeepPolicy { runs: 3, versions: vec![3], ..defaults.keep.clone() },
        readers: Readers::Any,
        checkpoint_every: 20,
        ..defaults
    };
    assert_eq!(policy, expected);
}

#[test]
fn the_defaults_of_both_retentions_fit_to_what_is_given() {
    let retentions = |retention: Option<Duration>, log_retention: Option<Duration>| {
        let vacuum = VacuumSettings { retention, ..VacuumSettings::default() };
        let policy = MaintenanceSettings { vacuum, log_retention, ..MaintenanceSettings::default() }.policy();
        (policy.vacuum.retention, policy.log_retention)
    };
    assert_eq!(retentions(None, None), (7 * DAY, 30 * DAY));
    assert_eq!(retentions(Some(60 * DAY), None), (60 * DAY, 60 * DAY));
    assert_eq!(retentions(Some(HOUR), None), (HOUR, 30 * DAY));
    assert_eq!(retentions(None, Some(3 * DAY)), (3 * DAY, 3 * DAY));
    assert_eq!(retentions(None, Some(90 * DAY)), (7 * DAY, 90 * DAY));
    // A contradiction is kept as it is, and reported.
    assert_eq!(retentions(Some(60 * DAY), Some(DAY)), (60 * DAY, DAY));
}

#[test]
fn properties_of_tables_are_settings() {
    let of = |properties: &[(&str, &str)]| {
        let properties: BTreeMap<String, String> =
            properties.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        MaintenanceSettings::of_properties(&properties)
    };
    let all = of(&[
        ("delta.deletedFileRetentionDuration", "interval 1 week"),
        ("delta.logRetentionDuration", "interval 60 days"),
        ("delta.checkpointInterval", "10"),
        ("delta.appendOnly", "true"),
    ]);
    let expected = MaintenanceSettings {
        vacuum: VacuumSettings { retention: Some(7 * DAY), ..VacuumSettings::default() },
        log_retention: Some(60 * DAY),
        checkpoint_every: Some(10),
        ..MaintenanceSettings::default()
    };
    assert_eq!(all, expected);
    let wrong = of(&[("delta.logRetentionDuration", "60 days"), ("delta.checkpointInterval", "0")]);
    assert_eq!(wrong, MaintenanceSettings::default());
}
