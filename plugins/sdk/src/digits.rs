//! Decimal digits. Components have no fast division of 64 bits by a constant, so numbers
//! are taken apart in pieces of 32 bits, for which multiplying does it.

/// Ten to the number of digits of a piece.
const PIECE: u64 = 1_000_000_000;
/// The digits of a piece.
const DIGITS: usize = 9;

/// The nine digits of a number below a thousand million.
pub(crate) fn nine(number: u32) -> [u8; DIGITS] {
    let mut rest = number;
    let mut digits = [b'0'; DIGITS];
    for digit in digits.iter_mut().rev() {
        *digit = b'0' + (rest % 10) as u8;
        rest /= 10;
    }
    digits
}

/// Appends a number without zeros in front.
pub(crate) fn push(number: u64, out: &mut Vec<u8>) {
    let mut rest = number;
    let mut pieces = [0; 3];
    let mut count = 0;
    for piece in &mut pieces {
        *piece = (rest % PIECE) as u32;
        rest /= PIECE;
        count += 1;
        if rest == 0 {
            break;
        }
    }
    let mut is_first = true;
    for piece in pieces.iter().take(count).rev() {
        let digits = nine(*piece);
        let zeros = digits
            .iter()
            .take(DIGITS - 1)
            .take_while(|d| is_first && **d == b'0');
        let zeros = zeros.count();
        out.extend_from_slice(digits.get(zeros..).unwrap_or_default());
        is_first = false;
    }
}
