//! A standard core dump made of a snapshot and its pages, for other tools: the format of
//! <https://github.com/WebAssembly/tool-conventions/blob/main/Coredump.md>.

use bytes::Bytes;
use fusebox_core::ids::Digest;
use fusebox_engine::records::{GlobalState, InstanceState, MemoryState, Snapshot};
use std::ops::Range;
use wasm_encoder::{
    ConstExpr, CoreDumpInstancesSection, CoreDumpModulesSection, CoreDumpSection, CoreDumpStackSection, CoreDumpValue,
    DataSection, GlobalSection, GlobalType, HeapType, Ieee32, Ieee64, MemorySection, MemoryType, Module, RefType,
    ValType,
};

/// Bytes of a page.
const PAGE: usize = 64 << 10;
/// Pages of a memory that 32-bit addresses reach.
const PAGES_OF_32_BITS: u64 = 65_536;

/// The core dump; `pages` yields compressed pages by digest.
///
/// # Errors
/// What is missing or broken.
pub(crate) fn coredump(snapshot: &Snapshot, pages: &dyn Fn(Digest) -> Option<Bytes>) -> Result<Vec<u8>, String> {
    let mut dump = Writer::default();
    for instance in &snapshot.instances {
        dump.instance(instance, pages)?;
    }
    let mut stack = CoreDumpStackSection::new("main");
    for frame in &snapshot.frames {
        let offset = u32::try_from(frame.offset.unwrap_or(0)).unwrap_or(0);
        let nothing: [CoreDumpValue; 0] = [];
        stack.frame(
            frame.instance.unwrap_or(0),
            frame.function,
            offset,
            nothing.clone(),
            nothing,
        );
    }
    let mut module = Module::new();
    module
        .section(&CoreDumpSection::new("fusebox"))
        .section(&dump.modules)
        .section(&dump.instances)
        .section(&stack)
        .section(&dump.memories)
        .section(&dump.globals)
        .section(&dump.data);
    Ok(module.finish())
}

struct Writer {
    modules: CoreDumpModulesSection,
    instances: CoreDumpInstancesSection,
    memories: MemorySection,
    globals: GlobalSection,
    data: DataSection,
}

impl Default for Writer {
    fn default() -> Self {
        Self {
            modules: CoreDumpModulesSection::new(),
            instances: CoreDumpInstancesSection::new(),
            memories: MemorySection::new(),
            globals: GlobalSection::new(),
            data: DataSection::new(),
        }
    }
}

impl Writer {
    fn instance(&mut self, instance: &InstanceState, pages: &dyn Fn(Digest) -> Option<Bytes>) -> Result<(), String> {
        let module = self.modules.len();
        self.modules.module(instance.module.as_deref().unwrap_or("<unnamed>"));
        let (memories, globals) = (self.memories.len(), self.globals.len());
        for memory in &instance.memories {
            self.memory(memory, pages)?;
        }
        for global in &instance.globals {
            self.global(global)?;
        }
        let count = |range: Range<u32>| range.collect::<Vec<_>>();
        self.instances.instance(
            module,
            count(memories..self.memories.len()),
            count(globals..self.globals.len()),
        );
        Ok(())
    }

    fn memory(&mut self, memory: &MemoryState, pages: &dyn Fn(Digest) -> Option<Bytes>) -> Result<(), String> {
        let index = self.memories.len();
        let memory64 = memory.pages > PAGES_OF_32_BITS;
        self.memories.memory(MemoryType {
            minimum: memory.pages,
            maximum: None,
            memory64,
            shared: false,
            page_size_log2: None,
        });
        for stored in &memory.stored {
            let digest = stored.digest;
            let packed = pages(digest).ok_or_else(|| format!("page {digest} is missing"))?;
            let page =
                zstd::bulk::decompress(&packed, PAGE).map_err(|error| format!("page {digest} is broken: {error}"))?;
            let at = stored.index * PAGE as u64;
            let offset = if memory64 {
                ConstExpr::i64_const(at.cast_signed())
            } else {
                let at = u32::try_from(at).map_err(|_| format!("page {} lies outside of its memory", stored.index))?;
                ConstExpr::i32_const(at.cast_signed())
            };
            self.data.active(index, &offset, page);
        }
        Ok(())
    }

    fn global(&mut self, global: &GlobalState) -> Result<(), String> {
        let bits = global.bits.as_deref().unwrap_or("0x0");
        let bits = u128::from_str_radix(bits.trim_start_matches("0x"), 16)
            .map_err(|_| format!("`{bits}` are no bits of a global"))?;
        #[expect(
            clippy::cast_possible_truncation,
            reason = "a global of n bits was written with n bits"
        )]
        let (val_type, init) = match global.kind.as_str() {
            "i32" => (ValType::I32, ConstExpr::i32_const(bits as i32)),
            "i64" => (ValType::I64, ConstExpr::i64_const(bits as i64)),
            "f32" => (ValType::F32, ConstExpr::f32_const(Ieee32::new(bits as u32))),
            "f64" => (ValType::F64, ConstExpr::f64_const(Ieee64::new(bits as u64))),
            "v128" => (ValType::V128, ConstExpr::v128_const(bits.cast_signed())),
            _ => (ValType::Ref(RefType::FUNCREF), ConstExpr::ref_null(HeapType::FUNC)),
        };
        let ty = GlobalType {
            val_type,
            mutable: true,
            shared: false,
        };
        self.globals.global(ty, &init);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use fusebox_engine::records::{Frame, StoredPage};
    use wasmparser::{KnownCustom, Parser, Payload};

    fn snapshot(page: Digest) -> Snapshot {
        let global = |kind: &str, bits: &str| GlobalState {
            kind: kind.to_owned(),
            bits: Some(bits.to_owned()),
        };
        Snapshot {
            frames: vec![Frame {
                instance: Some(1),
                function: 7,
                name: Some("boom".to_owned()),
                location: None,
                offset: Some(0x42),
            }],
            instances: vec![
                InstanceState::default(),
                InstanceState {
                    module: Some("main".to_owned()),
                    globals: vec![global("i32", "0xffffffff"), global("f64", "0x7ff8000000000001")],
                    memories: vec![MemoryState {
                        pages: 3,
                        stored: vec![StoredPage { index: 2, digest: page }],
                    }],
                },
            ],
            ..Snapshot::default()
        }
    }

    #[test]
    fn a_parser_of_the_standard_format_finds_everything_again() {
        let digest = Digest([7; 32]);
        let page = Bytes::from(zstd::bulk::compress(&[9; PAGE], 3).unwrap());
        let dump = coredump(&snapshot(digest), &|asked| (asked == digest).then(|| page.clone())).unwrap();
        let mut seen = Vec::new();
        for payload in Parser::new(0).parse_all(&dump) {
            match payload.unwrap() {
                Payload::CustomSection(section) => match section.as_known() {
                    KnownCustom::CoreDump(core) => seen.push(format!("core {}", core.name)),
                    KnownCustom::CoreDumpModules(modules) => seen.push(format!("modules {:?}", modules.modules)),
                    KnownCustom::CoreDumpInstances(all) => {
                        let one = &all.instances[1];
                        seen.push(format!(
                            "instance {} {:?} {:?}",
                            one.module_index, one.memories, one.globals
                        ));
                    }
                    KnownCustom::CoreDumpStack(stack) => {
                        let frame = &stack.frames[0];
                        seen.push(format!(
                            "frame {} {} {}",
                            frame.instanceidx, frame.funcidx, frame.codeoffset
                        ));
                    }
                    _ => {}
                },
                Payload::MemorySection(all) => {
                    seen.extend(
                        all.into_iter()
                            .map(|memory| format!("memory {}", memory.unwrap().initial)),
                    );
                }
                Payload::GlobalSection(all) => seen.push(format!("globals {}", all.count())),
                Payload::DataSection(all) => {
                    seen.extend(all.into_iter().map(|data| format!("data {}", data.unwrap().data.len())));
                }
                _ => {}
            }
        }
        let expected = [
            "core fusebox",
            r#"modules ["<unnamed>", "main"]"#,
            "instance 1 [0] [0, 1]",
            "frame 1 7 66",
            "memory 3",
            "globals 2",
            "data 65536",
        ];
        assert_eq!(seen, expected);
    }

    #[test]
    fn a_missing_page_is_named() {
        let digest = Digest([7; 32]);
        let error = coredump(&snapshot(digest), &|_| None).unwrap_err();
        assert!(error.contains(&digest.to_string()), "{error}");
    }
}
