use std::error::Error;
use std::ffi::NulError;
use std::fmt;

/// Why a call failed. The library has logged the details on standard error (`MC_LOG_LEVEL`).
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineError {
    /// The engine could not be created.
    NullHandle,
    /// A string has a NUL byte in it, which C strings cannot have.
    InvalidString(NulError),
    /// The library's code, as its header describes them: negative, or positive from calls that return a status.
    OperationFailed(i32),
    /// An argument that is never right.
    InvalidArgument(&'static str),
    /// A part of the transfer failed; nothing of it moves any more.
    TransferFailed,
    /// The time that the caller gave is over. The transfer goes on.
    Timeout,
}

impl fmt::Display for EngineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            EngineError::NullHandle => {
                write!(f, "the engine could not be created; its log says why")
            }
            EngineError::InvalidString(error) => {
                write!(f, "a string cannot be passed to C: {error}")
            }
            EngineError::OperationFailed(code) => {
                write!(f, "the transfer engine returned {code}; its log says why")
            }
            EngineError::InvalidArgument(what) => write!(f, "{what}"),
            EngineError::TransferFailed => {
                write!(f, "the transfer failed; the engine's log says why")
            }
            EngineError::Timeout => {
                write!(f, "the transfer is not done in the time that was given")
            }
        }
    }
}

impl Error for EngineError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            EngineError::InvalidString(error) => Some(error),
            _ => None,
        }
    }
}

impl From<NulError> for EngineError {
    fn from(error: NulError) -> Self {
        EngineError::InvalidString(error)
    }
}
