import Foundation
import Synchronization

/// SIGINT and SIGTERM ask for a checkpoint and an end; a second one ends the process at once.
enum StopSignals {
    private static let flag = Atomic<Bool>(false)

    /// Whether one has come.
    static var received: Bool { flag.load(ordering: .relaxed) }

    /// Starts listening, also where the program that started this one has blocked the signals.
    static func install() {
        var signals = sigset_t()
        sigemptyset(&signals)
        for number in [SIGINT, SIGTERM] { sigaddset(&signals, number) }
        pthread_sigmask(SIG_UNBLOCK, &signals, nil)
        for number in [SIGINT, SIGTERM] {
            signal(number) { number in
                // Only an atomic exchange and signal(): both are allowed inside a handler.
                if StopSignals.flag.exchange(true, ordering: .relaxed) { _exit(75) }
                _ = number
            }
        }
    }
}
