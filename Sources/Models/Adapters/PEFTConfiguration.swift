import Foundation
import Layers

/// `adapter_config.json` of PEFT: the fields that matter here. Unknown fields are ignored when reading; writing keeps to
/// the smallest set that every PEFT release reads.
struct PEFTConfiguration: Codable {
    var peftType: String
    var baseModel: String?
    var rank: Int
    var alpha: Double
    var dropout: Double?
    var targetModules: Targets?
    var bias: String?
    var fanInFanOut, useDora, useRSLoRA, loraBias: Bool?
    var modulesToSave: [String]?
    var rankPattern, alphaPattern: [String: Double]?
    var targetParameters: [String]?
    var taskType: String?
    var inferenceMode: Bool?
    var peftVersion: String?

    enum CodingKeys: String, CodingKey {
        case peftType = "peft_type"
        case baseModel = "base_model_name_or_path"
        case rank = "r"
        case alpha = "lora_alpha"
        case dropout = "lora_dropout"
        case targetModules = "target_modules"
        case bias
        case fanInFanOut = "fan_in_fan_out"
        case useDora = "use_dora"
        case useRSLoRA = "use_rslora"
        case loraBias = "lora_bias"
        case modulesToSave = "modules_to_save"
        case rankPattern = "rank_pattern"
        case alphaPattern = "alpha_pattern"
        case targetParameters = "target_parameters"
        case taskType = "task_type"
        case inferenceMode = "inference_mode"
        case peftVersion = "peft_version"
    }

    /// `target_modules` is a list of names or one regular expression.
    enum Targets: Codable {
        case names([String])
        case pattern(String)

        init(from decoder: any Decoder) throws {
            let container = try decoder.singleValueContainer()
            if let names = try? container.decode([String].self) { self = .names(names) } else {
                self = .pattern(try container.decode(String.self))
            }
        }

        func encode(to encoder: any Encoder) throws {
            var container = encoder.singleValueContainer()
            switch self {
            case .names(let names): try container.encode(names)
            case .pattern(let pattern): try container.encode(pattern)
            }
        }
    }

    /// The configuration written for an adapter of ours. Targets are listed by name, as consumers expect.
    init(_ adapter: LoRAAdapter, baseModel: String) {
        peftType = "LORA"
        taskType = "CAUSAL_LM"
        self.baseModel = baseModel
        let configuration = adapter.configuration
        (rank, alpha, dropout) = (
            configuration.rank, Self.decimal(configuration.alpha), Self.decimal(configuration.dropout)
        )
        useRSLoRA = configuration.usesRSLoRA ? true : nil
        rankPattern = Self.patterns(of: adapter, usual: rank, \.rank)?.mapValues { Double($0) }
        alphaPattern = Self.patterns(of: adapter, usual: configuration.alpha, \.alpha)?.mapValues(Self.decimal)
        targetModules = .names(Self.shortNames(of: adapter))
        let parameters = Set(adapter.layers.filter { !$0.isModule }.map { Self.parameterName($0.name) }).sorted()
        targetParameters = parameters.isEmpty ? nil : parameters
        (bias, fanInFanOut, inferenceMode) = ("none", false, true)
    }

    /// The shortest number that is read as this one.
    private static func decimal(_ number: Float) -> Double { Double(String(number)) ?? Double(number) }

    /// The last components of the adapted modules; the whole path of one whose last component also names a module that is
    /// not adapted.
    private static func shortNames(of adapter: LoRAAdapter) -> [String] {
        let names = adapter.layers.filter(\.isModule).map { layer in
            let ending = LoRAAdapter.ending(of: layer.name)
            return adapter.endingsLeftOut.contains(ending) ? layer.name : ending
        }
        return Set(names).sorted()
    }

    /// What names a fused parameter in every layer: what comes after the number of the layer.
    private static func parameterName(_ path: String) -> String {
        let parts = path.split(separator: ".")
        let number = parts.lastIndex { $0.allSatisfy(\.isNumber) }
        return parts[(number.map { $0 + 1 } ?? 0)...].joined(separator: ".")
    }

    /// Ranks that can be used.
    static let ranks = 1...65536

    /// Why an adapter with this configuration cannot be used, if it cannot.
    var problem: String? {
        if peftType.uppercased() != "LORA" { return "peft_type is \(peftType), expected LORA" }
        if !Self.ranks.contains(rank) { return "r is \(rank), expected a number from 1 to \(Self.ranks.upperBound)" }
        if !Float(alpha).isFinite { return "lora_alpha is \(alpha), expected a finite number" }
        if let dropout, !(0..<1).contains(dropout) { return "lora_dropout is \(dropout), expected a number from 0 to below 1" }
        if useDora == true { return "it is a DoRA adapter (use_dora), which this version cannot read" }
        if fanInFanOut == true { return "fan_in_fan_out is set, which this version cannot read" }
        if loraBias == true || (bias ?? "none") != "none" { return "it trains biases, which this version cannot read" }
        if let modules = modulesToSave, !modules.isEmpty {
            return "it holds whole modules (\(modules.joined(separator: ", "))), which this version cannot read"
        }
        return patternProblem
    }
}
