//! The component that every call of the benchmarks runs: a little memory, a sum, and a record that comes back.

/// Exported name of the sum of two numbers.
pub const ADD: &str = "add";
/// Exported name of the function that returns its record.
pub const ECHO: &str = "echo-rec";
/// Arguments of [`ECHO`].
pub const ARGUMENTS: &str = r#"{"r":{"x":1,"y":2,"name":"hello","tags":["a","bb"]}}"#;
/// What [`ECHO`] then returns.
pub const RECORD: &str = r#"{"x":1,"y":2,"name":"hello","tags":["a","bb"]}"#;

/// 17 pages of memory with a data image, so that a fresh instance costs what it costs a small tool.
const TEXT: &str = r#"
(component
  (type $rec' (record (field "x" s32) (field "y" s32) (field "name" string) (field "tags" (list string))))
  (export $rec "rec" (type $rec'))
  (core module $m
    (memory (export "memory") 17)
    (global $next (mut i32) (i32.const 131072))
    (data (i32.const 1024) "some static data, so that the memory of an instance is an image that is copied on write")
    (func (export "realloc") (param i32 i32) (param $align i32) (param $size i32) (result i32) (local $at i32)
      (local.set $at (i32.and (i32.add (global.get $next) (i32.sub (local.get $align) (i32.const 1)))
                              (i32.sub (i32.const 0) (local.get $align))))
      (global.set $next (i32.add (local.get $at) (local.get $size)))
      (local.get $at))
    (func (export "reset") (param i32) (global.set $next (i32.const 131072)))
    (func (export "add") (param i32 i32) (result i32) (i32.add (local.get 0) (local.get 1)))
    (func (export "echo-rec") (param i32 i32 i32 i32 i32 i32) (result i32)
      (i32.store (i32.const 64) (local.get 0)) (i32.store (i32.const 68) (local.get 1))
      (i32.store (i32.const 72) (local.get 2)) (i32.store (i32.const 76) (local.get 3))
      (i32.store (i32.const 80) (local.get 4)) (i32.store (i32.const 84) (local.get 5)) (i32.const 64)))
  (core instance $i (instantiate $m))
  (alias core export $i "memory" (core memory $memory))
  (alias core export $i "realloc" (core func $realloc))
  (alias core export $i "reset" (core func $reset))
  (func (export "add") (param "a" s32) (param "b" s32) (result s32) (canon lift (core func $i "add")))
  (func (export "echo-rec") (param "r" $rec) (result $rec)
    (canon lift (core func $i "echo-rec") (memory $memory) (realloc $realloc) (post-return $reset))))
"#;

/// The component's bytes.
///
/// # Errors
/// None, unless the text above is broken.
pub fn wasm() -> anyhow::Result<Vec<u8>> {
    Ok(wat::parse_str(TEXT)?)
}
