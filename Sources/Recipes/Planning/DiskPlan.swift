import Autograd
import Checkpoints
public import Foundation
import Layers
import TensorCore
import Training

extension PreparedRun {
    /// Bytes that the run will write at most beside what is there: the checkpoints it keeps, the best, the one being
    /// written, the adapter, and the merged model if it is asked for.
    /// - Parameters:
    ///   - step: the step it starts from.
    ///   - existing: checkpoints that are there.
    func bytesToWrite(after step: Int, existing: Int) throws -> Int {
        let size = TrainingCheckpoint.byteCount(of: adapter.parameters)
        let toCome = max(0, totalSteps - step) / recipe.checkpoint.everySteps + 2
        let kept = min(recipe.checkpoint.keep + 1 + (data.validation.isEmpty ? 0 : 1), existing + toCome)
        return max(1, kept - existing) * size + size / 3 + (try mergedBytes())
    }

    private func mergedBytes() throws -> Int {
        guard recipe.output.save.contains(.merged) else { return 0 }
        let weights = try parameterTable().rows.reduce(0) { $0 + $1.total }
        return weights * (try ModelMerge.usualType(of: base) == .float32 ? 4 : 2)
    }

    /// Refuses a run whose checkpoints and results the disk has no room for.
    /// - Throws: ``TrainingError/noSpace(path:needed:free:during:)``.
    public func requireDiskSpace(at place: URL, after step: Int = 0, existing: Int = 0) throws {
        let needed = try bytesToWrite(after: step, existing: existing)
        guard let free = DiskSpace.free(at: place), free < needed else { return }
        throw TrainingError.noSpace(path: place.relativePath, needed: needed, free: free, during: .run)
    }
}
