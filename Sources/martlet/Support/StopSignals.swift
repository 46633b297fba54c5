import Foundation
import Synchronization

/// SIGINT and SIGTERM ask for an end as soon as nothing is lost by it; a second one ends the process at once. SIGHUP asks
/// for the same. SIGUSR1 asks for a checkpoint.
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
        for number in [SIGINT, SIGTERM, SIGHUP, SIGUSR1] { sigaddset(&signals, number) }
        pthread_sigmask(SIG_UNBLOCK, &signals, nil)
        for number in [SIGINT, SIGTERM] {
            // Only an atomic exchange and _exit(): both are allowed inside a handler.
            signal(number) { _ in if StopSignals.flag.exchange(true, ordering: .relaxed) { _exit(75) } }
        }
        // A closed terminal sends it more than once, the kernel and the shell each. nohup has it ignored.
        if !isIgnored(SIGHUP) { signal(SIGHUP) { _ in StopSignals.flag.store(true, ordering: .relaxed) } }
        signal(SIGUSR1) { _ in StopSignals.checkpointFlag.store(true, ordering: .relaxed) }
        // Output that nobody reads any more fails to be written, which is no reason to lose the work.
        signal(SIGPIPE, SIG_IGN)
    }

    private static func isIgnored(_ number: Int32) -> Bool {
        var action = sigaction()
        guard sigaction(number, nil, &action) == 0 else { return false }
        return unsafeBitCast(action.__sigaction_handler.sa_handler, to: Int.self) == unsafeBitCast(SIG_IGN, to: Int.self)
    }
}
