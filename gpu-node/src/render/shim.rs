//! How the parts in C++ are called: what they refuse becomes an error, what they make a tensor.

use std::ffi::{CStr, c_char, c_void};

use tch::{TchError, Tensor};

/// Bytes of a reason why libtorch refused.
const MESSAGE_BYTES: usize = 2048;

/// Calls a part in C++; what it says when it refuses becomes the error.
pub(super) fn attempt(call: impl FnOnce(&mut [c_char]) -> bool) -> Result<(), TchError> {
    let mut message: [c_char; MESSAGE_BYTES] = [0; MESSAGE_BYTES];
    if call(&mut message) {
        return Ok(());
    }
    let bytes = message.map(c_char::cast_unsigned);
    let text = CStr::from_bytes_until_nul(&bytes).unwrap_or(c"");
    Err(TchError::Torch(text.to_string_lossy().into_owned()))
}

/// Calls a part in C++ that makes one tensor, at the place that it is given.
pub(super) fn made(
    call: impl FnOnce(*mut *mut c_void, &mut [c_char]) -> bool,
) -> Result<Tensor, TchError> {
    let mut tensor = std::ptr::null_mut();
    attempt(|message| call(&raw mut tensor, message))?;
    Ok(taken(tensor))
}

/// A tensor that a part in C++ made.
pub(super) fn taken(pointer: *mut c_void) -> Tensor {
    #[expect(
        unsafe_code,
        reason = "the parts in C++ make tensors with `new`, and nothing else has them"
    )]
    unsafe {
        Tensor::from_ptr(pointer.cast())
    }
}
