//! The table of an error: one row for each variant, with its code, whether trying again may help, and what to do.

/// Makes an error [`Coded`](crate::error::Coded), and [`Failure`](crate::error::Failure) of it by `?`, from a table with one
/// row for each variant. A variant without a row does not compile.
///
/// A row is `VARIANT => CODE, HELP;`. VARIANT names what the row uses: `Name`, `Name(element)` or `Name { field, field }`.
/// Variants that need no fields can share one: `Name | Other => CODE, HELP;`.
/// HELP is a text or an optional one ([`HelpText`](crate::error::HelpText)); without it there is no help. CODE is
///
/// - `"WL0123"`, or an [`ErrorCode`](crate::error::ErrorCode) in parentheses. Trying again does not help, except with
///   `retry` or `retry if CONDITION` behind it. With `unless (ERROR)` behind it, an optional error with a code answers
///   for this one if it is there.
/// - `inner`: the error in the field that is named first, or in the only element of a tuple, answers for this one; not for
///   the help, if the row has one, and not for trying again with `inner never`.
///
/// An error without variants has one row: `struct NAME => CODE, HELP;` or `struct NAME { field } => CODE, HELP;`. A method
/// that is not to be as the trait has it stands in `and { … }` at the end.
///
/// ```
/// use windlass_base::coded;
/// use windlass_base::error::{Coded, Failure};
///
/// #[derive(Debug, thiserror::Error)]
/// #[error("`{name}` is not a name")]
/// struct NameError {
///     name: String,
/// }
///
/// coded! { struct NameError => "WL0110", "use ASCII letters, digits and `_`"; }
///
/// #[derive(Debug, thiserror::Error)]
/// enum LoadError {
///     #[error("`{file}` cannot be read")]
///     Unreadable { file: String },
///     #[error("the store does not answer")]
///     Silent(#[source] std::io::Error),
///     #[error(transparent)]
///     Name(#[from] NameError),
/// }
///
/// coded! {
///     LoadError {
///         Unreadable { file } => "WL0123", format!("check that `{file}` exists");
///         Silent(source) => "WL0302" retry if source.kind() == std::io::ErrorKind::TimedOut, "check the network";
///         Name => inner;
///     }
/// }
///
/// fn load() -> Result<(), Failure> {
///     Err(LoadError::Unreadable { file: "a.csv".to_owned() })?
/// }
/// assert_eq!(load().unwrap_err().help.as_deref(), Some("check that `a.csv` exists"));
/// assert_eq!(LoadError::from(NameError { name: "1".to_owned() }).code().0, "WL0110");
/// ```
///
/// ```compile_fail
/// # use windlass_base::coded;
/// #[derive(Debug, thiserror::Error)]
/// enum LoadError {
///     #[error("unreadable")]
///     Unreadable,
///     #[error("it has no row")]
///     New,
/// }
///
/// coded! { LoadError { Unreadable => "WL0123"; } }
/// ```
#[macro_export]
macro_rules! coded {
    (struct $type:ident $({ $($field:ident),+ })? =>
        $code:tt $($how:ident $(if $when:expr)?)? $(, $help:expr)?;) => {
        #[allow(unused_variables, reason = "a row binds fields for all its cells, each of which may use some")]
        impl $crate::error::Coded for $type {
            fn code(&self) -> $crate::error::ErrorCode {
                let Self { $($($field,)+)? .. } = self;
                $crate::coded_cell!(@code [] $code)
            }

            fn help(&self) -> Option<String> {
                let Self { $($($field,)+)? .. } = self;
                $crate::coded_cell!(@help [] $code; $($help)?)
            }

            fn is_retryable(&self) -> bool {
                let Self { $($($field,)+)? .. } = self;
                $crate::coded_cell!(@retry [] $code $($how $(if $when)?)?)
            }
        }

        $crate::coded_cell!(@from $type);
    };
    (
        $type:ident { $(
            $(#[$attribute:meta])*
            $variant:ident $(| $alike:ident)* $(($($element:ident),+))? $({ $($field:ident),+ })? =>
                $code:tt $($how:ident $(($found:expr))? $(if $when:expr)?)? $(, $help:expr)?;
        )+ }
        $(and { $($method:tt)+ })?
    ) => {
        #[allow(unused_variables, reason = "a row binds fields for all its cells, each of which may use some")]
        impl $crate::error::Coded for $type {
            fn code(&self) -> $crate::error::ErrorCode {
                match self { $(
                    $(#[$attribute])*
                    $crate::coded_cell!(@pattern $code inner $variant [$($($element)+)?] [$($($field)+)?])
                    $(| Self::$alike { .. })* =>
                        $crate::coded_cell!(
                            @code [$($($element)+)? $($($field)+)? inner] $code $($how $(($found))?)?
                        ),
                )+ }
            }

            fn help(&self) -> Option<String> {
                match self { $(
                    $(#[$attribute])*
                    $crate::coded_cell!(@pattern $code inner $variant [$($($element)+)?] [$($($field)+)?])
                    $(| Self::$alike { .. })* =>
                        $crate::coded_cell!(
                            @help [$($($element)+)? $($($field)+)? inner] $code $($how $(($found))?)?; $($help)?
                        ),
                )+ }
            }

            fn is_retryable(&self) -> bool {
                match self { $(
                    $(#[$attribute])*
                    $crate::coded_cell!(@pattern $code inner $variant [$($($element)+)?] [$($($field)+)?])
                    $(| Self::$alike { .. })* =>
                        $crate::coded_cell!(
                            @retry [$($($element)+)? $($($field)+)? inner] $code $($how $(($found))? $(if $when)?)?
                        ),
                )+ }
            }

            $($($method)+)?
        }

        $crate::coded_cell!(@from $type);
    };
}

/// What [`coded!`] makes of a row.
#[doc(hidden)]
#[macro_export]
macro_rules! coded_cell {
    (@pattern inner $inner:ident $variant:ident [] []) => { Self::$variant { 0: $inner, .. } };
    (@pattern $code:tt $inner:ident $variant:ident [] []) => { Self::$variant { .. } };
    (@pattern $code:tt $inner:ident $variant:ident [$($element:ident)+] []) => { Self::$variant($($element),+) };
    (@pattern $code:tt $inner:ident $variant:ident [] [$($field:ident)+]) => { Self::$variant { $($field,)+ .. } };

    (@code [$inner:ident $($_:ident)*] inner $(never)?) => { $inner.code() };
    (@code [$($_:ident)*] $code:tt unless ($found:expr)) => {
        match $found {
            Some(found) => found.code(),
            None => $crate::coded_cell!(@code [] $code),
        }
    };
    (@code [$($_:ident)*] $code:literal $(retry)?) => { $crate::error::ErrorCode($code) };
    (@code [$($_:ident)*] ($code:expr) $(retry)?) => { $code };

    (@help [$inner:ident $($_:ident)*] inner $(never)?;) => { $inner.help() };
    (@help [$($_:ident)*] $code:tt unless ($found:expr); $help:expr) => {
        match $found {
            Some(found) => found.help(),
            None => $crate::coded_cell!(@help [] $code; $help),
        }
    };
    (@help [$($_:ident)*] $code:tt $($how:ident)?;) => { None };
    (@help [$($_:ident)*] $code:tt $($how:ident)?; $help:expr) => { $crate::error::HelpText::into_help($help) };

    (@retry [$inner:ident $($_:ident)*] inner never) => { false };
    (@retry [$inner:ident $($_:ident)*] inner) => { $inner.is_retryable() };
    (@retry [$($_:ident)*] $code:tt) => { false };
    (@retry [$($_:ident)*] $code:tt retry) => { true };
    (@retry [$($_:ident)*] $code:tt retry if $when:expr) => { $when };
    (@retry [$($_:ident)*] $code:tt unless ($found:expr)) => { $found.is_some_and(|found| found.is_retryable()) };

    (@from $type:ident) => {
        impl From<$type> for $crate::error::Failure {
            fn from(error: $type) -> Self {
                $crate::error::Coded::to_failure(&error)
            }
        }
    };
}
