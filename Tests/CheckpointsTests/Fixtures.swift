import Checkpoints
import Foundation

/// The folder of recorded files beside the tests.
let fixtures = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Fixtures")

/// A fixture's URL.
func fixture(_ name: String) -> URL { fixtures.appendingPathComponent(name) }
