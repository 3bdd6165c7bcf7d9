/// Times programs on a target, fairly: in turns, one timer at a time, each figure with its spread.
public struct Profiler: Sendable {
    public let builder: Builder
    public var plan: MeasuringPlan
    /// Where measurements are kept; without it every question is answered by timing.
    public var database: MeasurementDatabase?
    /// What one run of a program may take.
    public var timeLimit: Duration = .seconds(300)
    /// How many programs compile at once.
    public var compileJobs = 2
    /// Whether the builds stay in the builder's folder; a search's hundreds of candidates need not.
    public var keepsBuilds = true
    /// Told when the database fails: figures are then still measured, only not kept.
    public var warn: @Sendable (String) -> Void

    public init(
        builder: Builder, plan: MeasuringPlan = MeasuringPlan(), database: MeasurementDatabase? = nil,
        warn: @escaping @Sendable (String) -> Void = { _ in }
    ) {
        self.builder = builder
        self.plan = plan
        self.database = database
        self.warn = warn
    }

    public var target: Target { builder.target }

    /// The latency of each program, in the same order.
    ///
    /// Programs that were measured before are looked up; the others are compiled, then take turns in rounds, so that a
    /// machine whose speed drifts slows them all alike. Rounds are added while a spread is above the plan's limit.
    ///
    /// - Parameters:
    ///   - threads: How many cores each program may use.
    ///   - anew: Times every program, also those that have a figure.
    /// - Throws: ``HardwareError`` when the target gives no latencies, or a program does not compile or run.
    public func measure(
        _ programs: [SourceProgram], threads: Int = 1, anew: Bool = false
    ) throws(HardwareError) -> [LatencyMeasurement] {
        guard target.figures == .latency else {
            throw HardwareError(
                .unsupported,
                "target \(target.name): its runner gives \(target.figures.rawValue), no latency; "
                    + "use a target whose file says 'figures: latency'")
        }
        var keys: [MeasurementKey] = []
        for program in programs { keys.append(key(program, threads)) }
        var results: [MeasurementKey: LatencyMeasurement] = [:]
        if !anew { for key in keys { results[key] = known(key) } }

        var missing: [(key: MeasurementKey, program: SourceProgram)] = []
        for (key, program) in zip(keys, programs)
        where results[key] == nil && !missing.contains(where: { $0.key == key }) {
            missing.append((key, program))
        }
        let programs = try builder.build(missing.map(\.program), as: .bench, jobs: compileJobs)
        defer { if !keepsBuilds { for program in programs { builder.discard(program) } } }
        var built = zip(missing, programs).map { (key: $0.key, program: $1) }
        if !built.isEmpty {
            let lock = try TimerLock(named: machine, patience: plan.patience)
            defer { withExtendedLifetime(lock) {} }
            if !anew {
                // Another process may have measured the same while this one compiled or waited.
                built.removeAll { entry in
                    results[entry.key] = known(entry.key)
                    return results[entry.key] != nil
                }
            }
            for (entry, measurement) in zip(built, try time(built.map(\.program), threads: threads)) {
                results[entry.key] = measurement
                record(measurement, for: entry.key)
            }
        }
        return keys.map { key in
            guard let result = results[key] else { preconditionFailure("every key was looked up or timed") }
            return result
        }
    }

    /// How many instructions one inference of the program executes, as the target's simulator counts them.
    ///
    /// - Throws: ``HardwareError`` when the target's simulator does not count, or the program does not compile or run.
    public func instructions(of program: SourceProgram) throws(HardwareError) -> Int {
        guard target.figures == .instructions else {
            throw HardwareError(.unsupported, "target \(target.name): its runner does not count instructions")
        }
        let built = try builder.build(program, as: .bench)
        let output = try ProgramRunner(for: target, timeLimit: timeLimit).output(
            of: built, arguments: ["--warmup-ms", "0", "--time-ms", "0", "--min-runs", "1", "--max-runs", "1"],
            counting: true)
        // Under the counting clock an instruction takes a nanosecond.
        return Int((try BenchReport(output: output, target: target).samples[0] * 1e6).rounded())
    }

    private func time(_ programs: [BuiltProgram], threads: Int) throws(HardwareError) -> [LatencyMeasurement] {
        let runner = ProgramRunner(for: target, timeLimit: timeLimit)
        let arguments = [
            "--warmup-ms", "\(plan.warmUp.milliseconds)", "--time-ms", "\(plan.burst.milliseconds)",
            "--min-runs", "\(plan.minimumSamples)",
        ]
        var samples = [[[Double]]](repeating: [], count: programs.count)
        var open = Array(programs.indices)
        for round in 1...max(plan.maximumRounds, plan.rounds, 1) where !open.isEmpty {
            for index in open {
                let output = try runner.output(of: programs[index], arguments: arguments, cores: threads)
                samples[index].append(try BenchReport(output: output, target: target).samples)
            }
            if round >= plan.rounds {
                open.removeAll { LatencyMeasurement(rounds: samples[$0], spreadLimit: plan.spreadLimit).isStable }
            }
        }
        return samples.map { LatencyMeasurement(rounds: $0, spreadLimit: plan.spreadLimit) }
    }

    private func key(_ program: SourceProgram, _ threads: Int) -> MeasurementKey {
        key(program: program.fingerprint.description, threads: threads)
    }

    /// What figures of something with that fingerprint are kept under: target, compiler and machine go into it.
    func key(program: String, threads: Int) -> MeasurementKey {
        let flags = (builder.flags + builder.compiler.flags + builder.compiler.linkerFlags).joined(separator: " ")
        return MeasurementKey(
            program: program, target: target.name,
            compiler: "\(builder.compilerVersion) \(flags)", machine: machine, threads: threads)
    }

    /// The device that the figures are of.
    private var machine: String {
        switch target.runner {
        case .ssh(let host, let port, _, _): "\(host):\(port ?? 22)"
        case .command(let words): words.joined(separator: " ")
        case .local, .qemuUser, .qemuSystem: NativeMachine.identity()
        }
    }

    private func known(_ key: MeasurementKey) -> LatencyMeasurement? {
        guard let database else { return nil }
        do {
            return try database.measurement(for: key)
        } catch {
            warn("\(error)")
            return nil
        }
    }

    private func record(_ measurement: LatencyMeasurement, for key: MeasurementKey) {
        guard let database else { return }
        do {
            try database.record(measurement, for: key)
        } catch {
            warn("\(error)")
        }
    }
}

extension Duration {
    fileprivate var milliseconds: Double {
        Double(components.seconds) * 1e3 + Double(components.attoseconds) * 1e-15
    }
}
