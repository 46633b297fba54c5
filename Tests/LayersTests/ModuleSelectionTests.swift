import Layers
import TensorCore
import Testing

/// Which layers a selection reaches.
@Suite struct ModuleSelectionTests {
    let layers: [Linear]

    init() throws { layers = namedLayers(on: try Compute(threadCount: 1)) }

    /// The names selected, without `model.layers.`.
    private func select(_ selection: ModuleSelection) throws(AdapterError) -> [String] {
        try selection.select(from: layers).map { String($0.name.dropFirst("model.layers.".count)) }
    }

    private func problem(_ selection: ModuleSelection) -> AdapterError? {
        do {
            _ = try selection.select(from: layers)
            return nil
        } catch {
            return error
        }
    }

    @Test func groups() throws {
        #expect(try select(.group(.allLinear)).count == 10)
        #expect(try select(.group(.mlp)) == ["0.mlp.up_proj", "0.mlp.down_proj", "1.mlp.up_proj", "1.mlp.down_proj"])
        #expect(try select(.group(.attention)).allSatisfy { $0.contains("self_attn") })
        #expect(try select(.group(.attention)).count == 6)
    }

    @Test func namesAreWholePathsOrEndsAfterADot() throws {
        #expect(try select(.names(["q_proj"])) == ["0.self_attn.q_proj", "1.self_attn.q_proj"])
        #expect(try select(.names(["mlp.up_proj"])) == ["0.mlp.up_proj", "1.mlp.up_proj"])
        #expect(try select(.names(["model.layers.1.mlp.up_proj"])) == ["1.mlp.up_proj"])
        #expect(problem(.names(["proj"])) != nil)
        #expect(problem(.names(["_proj"])) != nil)
        // A dot in a plain name is a dot.
        #expect(problem(.names(["mlp.up.proj"])) != nil)
    }

    @Test func orderIsThatOfTheModelAndNothingComesTwice() throws {
        let names = try select(.names(["down_proj", "q_proj", "model.layers.0.self_attn.q_proj"]))
        #expect(names == ["0.self_attn.q_proj", "0.mlp.down_proj", "1.self_attn.q_proj", "1.mlp.down_proj"])
    }

    @Test func patternsMatchTheWholePath() throws {
        #expect(try select(.pattern(#".*\.1\.mlp\..*"#)) == ["1.mlp.up_proj", "1.mlp.down_proj"])
        #expect(try select(.pattern(".*q_proj|.*v_proj")).count == 4)
        #expect(
            problem(.pattern("q_proj"))
                == .noSuchModule("q_proj", available: ["q_proj", "v_proj", "o_proj", "up_proj", "down_proj"]))
        #expect(problem(.pattern(#"model\.layers\.0"#)) != nil)
        #expect(try select(.names([#".*\.0\..*_proj"#, "q_proj"])).count == 6)
    }

    @Test func mistakesAreNamed() throws {
        guard case .badPattern(let pattern, _) = problem(.pattern("(q_proj")) else {
            Issue.record("an open bracket was accepted")
            return
        }
        #expect(pattern == "(q_proj")
        let error = try #require(problem(.names(["q_proj", "query"])))
        #expect("\(error)".contains("query") && "\(error)".contains("q_proj, v_proj, o_proj, up_proj, down_proj"))
        #expect(try select(.names([])).isEmpty)
    }
}
