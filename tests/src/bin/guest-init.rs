//! The first program of the guests in which privileged tests run.

fn main() -> std::process::ExitCode {
    if arm_image_guest::is_init() {
        arm_image_guest::init(arm_image_tests::serve)
    }
    // Nobody starts it by hand: `arm_image_tests::in_guest` does.
    std::process::ExitCode::FAILURE
}
