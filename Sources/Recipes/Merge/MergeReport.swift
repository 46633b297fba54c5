public import Checkpoints
public import Models

extension ModelMerge {
    /// What was written, and how near it is to what was trained.
    public struct Report: Sendable {
        /// Tensors in the folder, and those that the adapter changed.
        public let tensors, changed: Int
        /// Element type of the weights that are not packed.
        public let type: SafetensorsType
        /// How the weights were packed again; `nil` if they were not.
        public let packing: Packing?
        /// Logits of base and adapter against those of the folder: the proof that it was written right.
        public let comparison: LogitsComparison
        /// Logits of what was trained, and adapter, against those of the folder; `nil` if it was trained over this base.
        public let trained: LogitsComparison?
        /// Logits of what was trained, and adapter, against those of base and adapter before anything was rounded.
        public let otherBase: LogitsComparison?
        /// The share of the adapter's effect on the logits that the folder keeps.
        public let effectKept: Double?
    }

    /// Why a merge was refused.
    public enum Problem: Error, CustomStringConvertible {
        /// The adapter's update is zero.
        case changesNothing(adapter: String)
        /// The written model computes something else.
        case differs(LogitsComparison, limit: Double)

        /// One sentence.
        public var description: String {
            switch self {
            case .changesNothing(let adapter):
                "\(adapter): the adapter changes no weight (its B matrices are zero); was it trained? Without --adapter the base alone is written"
            case .differs(let comparison, let limit):
                "the merged model's logits differ from those of base and adapter by \(comparison.relative) of their size, allowed are \(limit); nothing was written"
            }
        }
    }
}
