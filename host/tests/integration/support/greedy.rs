//! Components that are small and take the compiler very much.

/// A component of about `7 * locals + 8 * loops` bytes with one function: so
/// many loops in each other, and in the innermost a change of so many locals.
/// Each loop then needs each local's value from two places, so the compiler
/// keeps `loops * locals` values.
pub(crate) fn greedy_component(loops: u32, locals: u32) -> Vec<u8> {
    const LOOP: [u8; 2] = [0x03, 0x40];
    const GET: u8 = 0x20;
    const SET: u8 = 0x21;
    const IS_ZERO: u8 = 0x45;
    const REPEAT_IF: [u8; 2] = [0x0d, 0x00];
    const END: u8 = 0x0b;
    const I32: u8 = 0x7f;

    let mut code = vec![1];
    leb(&mut code, locals);
    code.push(I32);
    for _ in 0..loops {
        code.extend(LOOP);
    }
    // Local 0 is the parameter.
    for local in 1..=locals {
        code.push(GET);
        leb(&mut code, local);
        code.extend([IS_ZERO, SET]);
        leb(&mut code, local);
    }
    for _ in 0..loops {
        code.extend([GET, 0]);
        code.extend(REPEAT_IF);
        code.push(END);
    }
    code.push(END);

    let mut body = vec![1];
    sized(&mut body, &code);
    let mut module = b"\0asm\x01\0\0\0".to_vec();
    // A type: one i32, and nothing back. A function of it. Its code.
    section(&mut module, 1, &[1, 0x60, 1, I32, 0]);
    section(&mut module, 3, &[1, 0]);
    section(&mut module, 10, &body);

    let mut component = b"\0asm\x0d\0\x01\0".to_vec();
    section(&mut component, 1, &module);
    // An instance of it, which imports nothing.
    section(&mut component, 2, &[1, 0, 0, 0]);
    component
}

fn section(out: &mut Vec<u8>, id: u8, content: &[u8]) {
    out.push(id);
    sized(out, content);
}

fn sized(out: &mut Vec<u8>, content: &[u8]) {
    leb(out, u32::try_from(content.len()).unwrap());
    out.extend(content);
}

/// An unsigned number as WebAssembly writes it.
fn leb(out: &mut Vec<u8>, mut number: u32) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
