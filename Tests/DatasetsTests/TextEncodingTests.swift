import Datasets
import Testing
import Tokenization

private func encoded(
    _ example: Example, _ trainOn: TrainOn = .assistant, tokenizer: Tokenizer? = nil, vocabularySize: Int? = nil
) throws -> EncodedExample {
    let encoder = ExampleEncoder(
        tokenizer: tokenizer, template: nil, vocabularySize: vocabularySize, options: EncodingOptions(trainOn: trainOn))
    let outcomes = try encoder.encode(DatasetRecord(example, file: "f", line: 3))
    guard outcomes.count == 1, case .encoded(let example) = outcomes[0] else { throw Unexpected(what: "\(outcomes)") }
    return example
}

private func problem(_ body: () throws -> EncodedExample) -> DatasetProblemKind? {
    do {
        _ = try body()
        return nil
    } catch {
        return (error as? DatasetProblem)?.kind
    }
}

@Test func textIsTrainedWithBeginningAndEnd() throws {
    let tokenizer = try Fixtures.tinyLlama3()
    let example = try encoded(.text("Hello there"), tokenizer: tokenizer)
    let (bos, eos) = (try #require(tokenizer.specialTokens.bos?.id), try #require(tokenizer.specialTokens.eos?.id))
    #expect(example.ids == [bos] + tokenizer.encode("Hello there", addSpecialTokens: false) + [eos])
    #expect(example.labels == [TokenBatch.ignoredLabel] + example.ids.dropFirst())
}

@Test func endThatStandsThereAlreadyIsNotAddedAgain() throws {
    let tokenizer = try Fixtures.tinyLlama3()
    let eos = try #require(tokenizer.specialTokens.eos)
    let example = try encoded(.text("Hello" + eos.text), tokenizer: tokenizer)
    #expect(example.ids.filter { $0 == eos.id }.count == 1)
}

@Test func responseAndEndAreTrainedThePromptIsNot() throws {
    for tokenizer in [try Fixtures.tinyLlama3(), try Fixtures.smollm2()] {
        let example = try encoded(.completion(prompt: "Q: one?\nA:", response: " Yes, one."), tokenizer: tokenizer)
        let eos = try #require(tokenizer.specialTokens.eos?.id)
        let prompt = tokenizer.encode("Q: one?\nA:", addSpecialTokens: true)
        let response = tokenizer.encode(" Yes, one.", addSpecialTokens: false) + [eos]
        #expect(example.ids == prompt + response)
        #expect(example.labels == Array(repeating: TokenBatch.ignoredLabel, count: prompt.count) + response)
        let all = try encoded(.completion(prompt: "Q: one?\nA:", response: " Yes, one."), .all, tokenizer: tokenizer)
        #expect(all.ids == example.ids)
        #expect(all.labels.dropFirst() == all.ids.dropFirst())
        #expect(
            try encoded(.completion(prompt: "Q: one?\nA:", response: " Yes, one."), .last, tokenizer: tokenizer)
                == example)
    }
}

/// Encoded as one text, the space would be taken into the first word of the response and that word never be learnt.
@Test func promptThatWouldMeltIntoTheResponseIsEncodedApart() throws {
    let tokenizer = try Fixtures.smollm2()
    let example = try encoded(.completion(prompt: "Q: one?\nA: ", response: "Yes"), tokenizer: tokenizer)
    let eos = try #require(tokenizer.specialTokens.eos?.id)
    let trained = zip(example.ids, example.labels).filter { $1 != TokenBatch.ignoredLabel }.map(\.0)
    #expect(trained == tokenizer.encode("Yes", addSpecialTokens: false) + [eos])
    #expect(example.ids.starts(with: tokenizer.encode("Q: one?\nA: ", addSpecialTokens: true)))
}

@Test func emptyPromptTrainsTheWholeResponse() throws {
    let tokenizer = try Fixtures.tinyLlama3()
    let example = try encoded(.completion(prompt: "", response: "Yes"), tokenizer: tokenizer)
    #expect(example.supervisedCount == example.ids.count - 1)
}

@Test func beginningWrittenIntoTheTextAsWellIsRefused() throws {
    let tokenizer = try Fixtures.tinyLlama3()
    let bos = try #require(tokenizer.specialTokens.bos?.text)
    #expect(problem { try encoded(.text(bos + "Hello"), tokenizer: tokenizer) } == .doubledBOS(token: bos))
    #expect(
        problem { try encoded(.completion(prompt: bos + "Q", response: "A"), tokenizer: tokenizer) }
            == .doubledBOS(token: bos))
}

@Test func textNeedsATokenizer() throws {
    #expect(problem { try encoded(.text("a")) } == .noTokenizer)
    #expect(problem { try encoded(.completion(prompt: "a", response: "b")) } == .noTokenizer)
}

@Test func completionNeedsAnEndToken() throws {
    let tokenizer = try Fixtures.tinyLlama3(withRoles: false)
    #expect(problem { try encoded(.completion(prompt: "a", response: "b"), tokenizer: tokenizer) } == .noEndToken)
    #expect(try encoded(.text("abc"), tokenizer: tokenizer).ids == tokenizer.encode("abc", addSpecialTokens: true))
}

@Test func tokensAreUsedAsTheyAre() throws {
    let plain = try encoded(.tokens(inputIDs: [5, 6, 7], labels: nil))
    #expect(plain == EncodedExample(ids: [5, 6, 7], labels: [-100, 6, 7], line: 3))
    let masked = try encoded(.tokens(inputIDs: [5, 6, 7], labels: [5, -100, 7]), vocabularySize: 8)
    #expect(masked == EncodedExample(ids: [5, 6, 7], labels: [-100, -100, 7], line: 3))
}

@Test func tokensAreCheckedAgainstTheVocabulary() throws {
    #expect(
        problem { try encoded(.tokens(inputIDs: [5, 8], labels: nil), vocabularySize: 8) }
            == .tokenIDOutside(id: 8, position: 1, vocabularySize: 8))
    #expect(
        problem { try encoded(.tokens(inputIDs: [5, 7], labels: [5, 8]), vocabularySize: 8) }
            == .invalidLabel(8, position: 1))
    #expect(
        problem { try encoded(.tokens(inputIDs: [5, 7], labels: [5])) } == .labelCount(ids: 2, labels: 1))
    let tokenizer = try Fixtures.tinyLlama3()
    guard
        case .tokenIDOutside(_, _, vocabularySize: 4) = problem({
            try encoded(.text("Hello"), tokenizer: tokenizer, vocabularySize: 4)
        })
    else { throw Unexpected(what: "a vocabulary of 4 was accepted") }
}

@Test func tokensWithNothingToTrainAreRefused() throws {
    for (ids, labels) in [([5, 6], [-100, -100]), ([5, 6], [5, -100]), ([5], nil)] as [([Int32], [Int32]?)] {
        guard case .noSupervisedToken = problem({ try encoded(.tokens(inputIDs: ids, labels: labels)) }) else {
            throw Unexpected(what: "\(ids) \(labels ?? []) was accepted")
        }
    }
}
