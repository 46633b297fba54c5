import Foundation
import Synchronization

/// SIGINT and SIGTERM ask for a checkpoint and an end; a second one ends the process at once. SIGUSR1 asks for a
/// checkpoint.
enum StopSignals {
    private static let flag = Atomic<Bool>(false)
    private static let checkpointFlag = Atomic<Bool>(false)

    /// Whether one has come.
    static var received: Bool { flag.load(ordering: .relaxed) }

    /// Whether a checkpoint has been asked for since the last call.
    static func takeCheckpointRequest() -> Bool { checkpointFlag.exchange(false, ordering: .relaxed) }

    /// Starts listening, also where the program that started this one has blocked the signals.
    static func install() {
        var signals = sigset_t()
        sigemptyset(&signals)
        for number in [SIGINT, SIGTERM, SIGUSR1] { sigaddset(&signals, number) }
        pthread_sigmask(SIG_UNBLOCK, &signals, nil)
        for number in [SIGINT, SIGTERM] {
            // Only an atomic exchange and _exit(): both are allowed inside a handler.
            signal(number) { _ in if StopSignals.flag.exchange(true, ordering: .relaxed) { _exit(75) } }
        }
        signal(SIGUSR1) { _ in StopSignals.checkpointFlag.store(true, ordering: .relaxed) }
    }
}
