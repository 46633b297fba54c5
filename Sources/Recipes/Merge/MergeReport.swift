public import Checkpoints
import Foundation
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

extension ModelMerge.Report {
    /// Whether the folder does about what was trained, as far as that can be asked.
    private var keepsEffect: Bool { effectKept.map { (0.5...1.5).contains($0) } ?? true }

    /// A sentence on how much of what was learnt the folder keeps; `nil` if it was trained over this base, or says nothing.
    public var effect: String? {
        guard let effectKept, effectKept.isFinite else { return nil }
        if keepsEffect { return String(format: "of the adapter's effect on the logits, %.0f %% is kept", effectKept * 100) }
        return "the merged model answers differently from the model in training: what else has changed (4 bits, or the base) moves the logits by at least half as much as the adapter does"
    }

    /// A sentence on an adapter that goes to another base than it was trained over; `nil` if it does not.
    public var otherOrigin: String? {
        otherBase.map {
            String(format: "the adapter was trained over a base in 4 bits and is merged into another; the bases alone move the logits by %.2g of their size, and quality may suffer; --dequantized merges into what was trained", $0.relative)
        }
    }

    /// What is to be said at the end of a run.
    var remarks: [String] {
        [otherOrigin.map { $0.replacing("--dequantized", with: "martlet merge --dequantized") }, keepsEffect ? nil : effect]
            .compactMap { $0 }
    }
}
