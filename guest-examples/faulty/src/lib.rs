//! A tool that fails in every way that a tool can fail, to show and to test what the host makes of it.

mod crash;
mod excess;
mod surroundings;
mod upstream;

wit_bindgen::generate!({ path: "wit", world: "tool" });

use exports::example::faulty::faults::{Answer, Failure, Guest, Kind, Upstream};

struct Faulty;

impl Guest for Faulty {
    fn trap(message: Option<String>) {
        crash::trap(message);
    }
    fn out_of_bounds() -> u8 {
        crash::out_of_bounds()
    }
    fn stack_overflow() -> u64 {
        crash::stack_overflow(1)
    }
    fn exit(code: u8) {
        std::process::exit(i32::from(code))
    }
    fn invalid_utf8() -> String {
        crash::invalid_utf8()
    }

    fn endless_loop() {
        excess::endless_loop()
    }
    fn memory_bomb() -> u64 {
        excess::memory_bomb()
    }
    fn huge_output(mib: u32) -> String {
        excess::text(mib)
    }
    fn log_flood(lines: u32) {
        excess::log_flood(lines);
    }
    fn hoard(resources: u32) {
        excess::hoard(resources);
    }
    fn sleep(ms: u32) {
        std::thread::sleep(std::time::Duration::from_millis(u64::from(ms)));
    }
    fn spin_then_answer(ms: u32) -> u64 {
        excess::spin(ms)
    }

    fn error(kind: Kind) -> Result<(), Failure> {
        let text = "as asked for".to_owned();
        Err(match kind {
            Kind::Transient => Failure::Transient(text),
            Kind::Throttled => Failure::Throttled(text),
            Kind::Caller => Failure::Caller(text),
            Kind::Unmapped => Failure::Unmapped(text),
        })
    }
    fn request(upstream: Upstream, method: String, path: String, body: Option<String>) -> Result<Answer, Failure> {
        upstream::request(upstream, &method, &path, body)
    }
    fn denied_host(url: Option<String>) -> Result<Answer, Failure> {
        upstream::denied_host(url.as_deref())
    }
    fn lying_content_length(upstream: Upstream, path: String) -> Result<Answer, Failure> {
        upstream::lying_content_length(upstream, &path)
    }
    fn huge_request(upstream: Upstream, path: String, mib: u32) -> Result<Answer, Failure> {
        upstream::request(upstream, "POST", &path, Some(excess::text(mib)))
    }
    fn unwrap_on_503(upstream: Upstream, path: String) -> String {
        upstream::unwrap_success(upstream, &path)
    }
    fn fallback(first: Upstream, first_path: String, second: Upstream, second_path: String) -> Result<Answer, Failure> {
        upstream::get(first, &first_path).or_else(|_| upstream::get(second, &second_path))
    }
    fn heal_then_fail(upstream: Upstream, path: String) -> Result<(), Failure> {
        upstream::heal_then_fail(upstream, &path)
    }
    fn ignore_failure(upstream: Upstream, path: String, body: String) -> String {
        match upstream::request(upstream, "POST", &path, Some(body)) {
            Ok(_) | Err(_) => "done".to_owned(),
        }
    }
    fn two_posts(upstream: Upstream, path: String, body: String) -> Result<(u16, u16), Failure> {
        let first = upstream::request(upstream, "POST", &path, Some(body.clone()))?;
        let second = upstream::request(upstream, "POST", &path, Some(body))?;
        Ok((first.status, second.status))
    }
    fn trap_in_flight(upstream: Upstream, path: String, body: String) {
        upstream::trap_in_flight(upstream, &path, body)
    }

    fn stateful() -> u64 {
        surroundings::stateful()
    }
    fn random() -> u64 {
        wasip2::random::random::get_random_u64()
    }
    fn now() -> u64 {
        surroundings::now()
    }
    fn environment() -> Vec<(String, String)> {
        std::env::vars().collect()
    }
    fn read_file(path: String) -> Result<String, Failure> {
        std::fs::read_to_string(&path).map_err(|error| Failure::Unmapped(format!("{path}: {error}")))
    }
    fn open_socket() -> Result<(), Failure> {
        surroundings::open_socket()
    }
}

export!(Faulty);
