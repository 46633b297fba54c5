import Autograd
import Checkpoints
public import Foundation
import Layers
import TensorCore
import Training

extension PreparedRun {
    /// Bytes that the run will write at most beside what is there: the checkpoints it keeps, the best, the one being
    /// written, and the adapter.
    /// - Parameters:
    ///   - step: the step it starts from.
    ///   - existing: checkpoints that are there.
    func bytesToWrite(after step: Int, existing: Int) -> Int {
        let size = TrainingCheckpoint.byteCount(of: adapter.parameters)
        let toCome = max(0, totalSteps - step) / recipe.checkpoint.everySteps + 2
        let kept = min(recipe.checkpoint.keep + 1 + (data.validation.isEmpty ? 0 : 1), existing + toCome)
        return max(1, kept - existing) * size + size / 3
    }

    /// Refuses a run whose checkpoints the disk has no room for.
    /// - Throws: ``TrainingError/noSpace(path:needed:free:during:)``.
    public func requireDiskSpace(at place: URL, after step: Int = 0, existing: Int = 0) throws {
        let needed = bytesToWrite(after: step, existing: existing)
        guard let free = DiskSpace.free(at: place), free < needed else { return }
        throw TrainingError.noSpace(path: place.relativePath, needed: needed, free: free, during: .run)
    }
}
