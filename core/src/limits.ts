// Every limit of Shoal, with its unit, its reason, and what happens beyond it. Relations between
// limits are asserted when this file loads, so that changing one can't silently break another.
import { assert } from "./error.ts";
import { gibibyte, kibibyte, mebibyte, minuteMs, secondMs } from "./units.ts";

// Content ---------------------------------------------------------------------------------------

/** Smallest chunk but for the last of an artifact: bounds the number of chunks of 10 GiB at 163,840. */
export const chunkBytesMin = 64 * kibibyte;
/** Aim of the chunker: 40,960 chunks for 10 GiB, a manifest of about 1.5 MB. */
export const chunkBytesTarget = 256 * kibibyte;
/** Largest chunk: one buffer of this size is enough to verify any chunk. Larger ones are refused. */
export const chunkBytesMax = 1 * mebibyte;
/** Bounds of a piece's aimed size; a piece ends with the chunk that reaches the aim. */
export const pieceBytesTargetMin = 256 * kibibyte;
export const pieceBytesTargetMax = 4 * mebibyte;
/**
 * Aimed number of pieces of a middling artifact: keeps (1 + log2 N / pieces) near 1, 1.05 for 10,000 hosts. Each piece
 * costs each host some milliseconds of processor time, whatever its size: with four times as many, eight hosts
 * took a tenth more for 512 MiB (docs/decisions/0006-bulk-sockets.md).
 */
export const piecesTarget = 256;
/** A piece can overshoot its aim by one chunk less a byte. */
export const pieceBytesMax = pieceBytesTargetMax + chunkBytesMax;
/** Largest artifact accepted: a little over the promised 10 GB. Larger ones fail the build. */
export const artifactBytesMax = 16 * gibibyte;
/** Most files, directories and links of an artifact. More fail the build. */
export const artifactEntriesMax = 500_000;
/** Largest encoded manifest that is read from anywhere. */
export const manifestBytesMax = 64 * mebibyte;
/** A longer manifest reaches hosts in blocks through the swarm, not whole from a seeder: for artifacts beyond some 2 GB. */
export const manifestWholeBytesMax = 256 * kibibyte;
/** Size of such a block, the last one may be shorter; a list of all blocks' hashes then has at most 32 KiB. */
export const manifestBlockBytes = 64 * kibibyte;
/** Largest list of a manifest's blocks: a hash for each, and what is around them. */
export const manifestBlocksBytesMax = 64 * kibibyte;
/** How long a host waits for a manifest's next block before it takes the whole one from a seeder. */
export const manifestStillMsMax = 10_000;
/** Longest path in a manifest, and longest component of one, in bytes of UTF-8 (Linux's own limits). */
export const pathBytesMax = 4095;
export const pathComponentBytesMax = 255;

/** Bytes of a stream that one thread cuts at a time; a few of them are in memory. */
export const segmentBytes = 8 * mebibyte;
/** Most threads that cut, hash and compress in one process: their segments bound its memory. */
export const contentThreadsMax = 8;
/** Chunks of a tree being read that are on their way at once where their taker allows for many. */
export const chunksInFlightMax = 64;

// Stores ----------------------------------------------------------------------------------------

/** A pack is written when its chunks reach this size; `flush` may write smaller ones. */
export const packBytesTarget = 16 * mebibyte;
/** Packs below this size, or with less than half of it in use, are rewritten by the collector. */
export const packBytesMin = 8 * mebibyte;
/** Largest pack that is opened. */
export const packBytesMax = 64 * mebibyte;
/** Largest object of a blob store: a pack or a manifest. Larger ones are refused. */
export const blobBytesMax = 64 * mebibyte;
/** Size of the parts in which an object store gets larger objects. */
export const s3PartBytes = 8 * mebibyte;
/** How long one request to an object store may take, all tries together. */
export const s3CallMsMax = 2 * minuteMs;
/** Tries of one request to an object store, with pauses that double. */
export const s3TriesMax = 5;
/** Connections of one process to its object store; further requests wait. */
export const s3ConnectionsMax = 32;
/** Longest key of a blob, far below what file systems and object stores take. */
export const blobKeyCharactersMax = 200;

// Signed documents ------------------------------------------------------------------------------

/** Largest DSSE envelope of a statement, goal or trust document. */
export const envelopeBytesMax = 1 * mebibyte;
/** Most signatures under one envelope: keys overlap while one replaces another. More are refused. */
export const envelopeSignaturesMax = 8;
/** Largest passport or grant (a compact JWS) in a header. */
export const tokenBytesMax = 8 * kibibyte;
/** Most keys in a trust document, and most rules about what they may sign. More are refused. */
export const trustKeysMax = 1024;
/** Root keys that one trust document names: the present one and those that it is changed to. */
export const trustRootsMax = 4;
/** Documents by which a reader comes from an old root to the newest; older ones are left out. */
export const trustChainMax = 16;
/** Largest trust state (chain and revocations) in a file or an answer. */
export const trustStateBytesMax = 8 * mebibyte;
/** Peers in one list of revocations; further ones are refused. */
export const revokedPeersMax = 10_000;
/** Lists that are kept because an older one names somebody whom the newest has lost. */
export const revocationListsMax = 8;
/** Join tokens of a region that its seeders know, the newest first; and hosts that one of them let in. */
export const joinTokensMax = 1000;
/** How often a seeder asks for its region's join tokens. */
export const joinTokensMs = 10 * secondMs;
/** How often a control plane looks for newer trust in its file and the database, and for changed keys. */
export const trustLookMs = 2 * secondMs;
/** Largest key file, and largest certificate that is looked into. */
export const keyFileBytesMax = 4 * kibibyte;
export const certificateBytesMax = 16 * kibibyte;
/** How long an ingest grant holds; every heartbeat brings a new one. */
export const ingestGrantMs = 10 * minuteMs;
/** How long a plan's pull grant holds; a new one comes at half of it. */
export const pullGrantMs = 60 * minuteMs;
/** How long an inspect grant holds: one request. */
export const inspectGrantMs = 1 * minuteMs;
/** How long a passport holds: a control plane that is down for a weekend locks nobody out. */
export const passportMs = 7 * 24 * 60 * minuteMs;
/** How long a seeder may issue passports without a word of the control plane. */
export const delegationMs = 14 * 24 * 60 * minuteMs;
/** A revocation is carried on until every passport and delegation of the peer has ended by itself. */
export const revocationMs: number = delegationMs + passportMs;
/**
 * How long the proof is good with which a builder or seeder calls the control plane: what somebody who
 * listens could use.
 */
export const callProofMs = 5 * minuteMs;
/** How far two clocks may be apart before a not-yet-valid document is refused. */
export const clockSkewMs = 60 * secondMs;

// Wire ------------------------------------------------------------------------------------------

/** How long a connection may take: nobody answers there. */
export const connectMsMax = 10 * secondMs;
/**
 * How long the TLS handshake may take after that. A server to which a whole region comes at once, because it was
 * started again, gets to each in its turn; who gave up sooner and came again would only make the line longer.
 */
export const handshakeMsMax = 30 * secondMs;
/** How long an answer may be silent. */
export const answerSilentMsMax = 30 * secondMs;
/** Largest JSON body that any HTTP endpoint of ours reads. */
export const jsonBodyBytesMax = 4 * mebibyte;
/** Largest body of one ingest or replication request: a batch of chunks with their heads. */
export const chunkBatchBytesMax = 64 * mebibyte;
/** Most hashes in one "what is missing" or "give me" request. */
export const chunkHashesPerRequestMax = 16_384;
/** Largest message of the peers' control stream: a bitfield of any artifact fits many times. */
export const controlMessageBytesMax = 256 * kibibyte;
/** Largest plan of a region: some 10,000 signed goals. */
export const planBytesMax = 64 * mebibyte;
/** Largest report of a seeder: 100,000 CIDs and the counts of 10,000 services. */
export const seederReportBytesMax = 32 * mebibyte;
/** Items of one page of a list: when nothing is said, and at most. */
export const pageItemsDefault = 50;
export const pageItemsMax = 200;
/** How long a client waits for an answer, beyond what it asked the server to wait. */
export const requestTimeoutMs = 15 * secondMs;
/** How long one request or answer full of chunks, or a manifest, may take in all: 112 KiB a second. */
export const contentCallMsMax = 10 * minuteMs;
/** How long a caller may take to send a whole request; slower ones are cut off. */
export const requestBodyMsMax = 2 * minuteMs;
/** Longest time a long poll is held open by a server. */
export const longPollMsMax = 10 * secondMs;

// Builds ----------------------------------------------------------------------------------------

/** A builder that isn't heard of for this long has lost its lease. */
export const leaseMs = 30 * secondMs;
/** How often a builder beats: three beats may be lost. */
export const heartbeatMs = 7 * secondMs;
/** Most attempts for errors of ours; beyond it the build is DEAD. */
export const buildAttemptsMax = 5;
/** What is kept of each output stream of a helper program such as git; the rest is read and dropped. */
export const programOutputBytesMax = 256 * kibibyte;
/** Longest fetch and checkout of one commit; beyond it the attempt fails as ours and is tried again. */
export const checkoutMsMax = 15 * minuteMs;
/** Hosts that a project's prepare command may reach, and lock files that its result depends on. */
export const prepareHostsMax = 64;
export const prepareLockFilesMax = 64;
/** Secrets of one project on a builder; more are refused. */
export const projectSecretsMax = 64;
/** Shortest and longest secret: a shorter one can't be told from other text in a log, a longer one isn't text. */
export const secretBytesMin = 8;
export const secretBytesMax = 16 * kibibyte;
/** Largest lock file that is looked at; a larger one fails the build. */
export const lockFileBytesMax = 64 * mebibyte;
/** Most files, folders and links in a checkout with what a prepare made; beyond it nothing is cached. */
export const preparedEntriesMax = 1_000_000;
/** Places in which a prepare's result may lie; more aren't cached. */
export const preparedPathsMax = 1000;
/** Largest record of a prepare's result: that many longest paths. */
export const preparedRecordBytesMax = 4 * mebibyte;
/** Connections that a prepare's proxy has open at once; further ones are closed. */
export const proxyConnectionsMax = 256;
/** How long the proxy waits for a name or a connection, and how long one may be silent. */
export const proxyConnectMsMax = 15 * secondMs;
export const proxySilentMsMax = 2 * minuteMs;
/** Refused hosts that one build's log names; further ones are refused without a word. */
export const proxyRefusalsToldMax = 100;
/** How soon after its kill a build's last process must be gone; else the attempt fails as ours. */
export const buildKillMsMax = 10 * secondMs;
/** How often memory, disk and the kernel's kills are looked at while a build runs. */
export const buildUsagePollMs = 250;
/** A builder's file system below this stops the build: an error of ours, not of the project. */
export const builderDiskReserveBytes = 256 * mebibyte;
/** Where no cgroup can be had, each process may have this much more than the limit before malloc fails. */
export const buildMemorySlackBytes = 1 * gibibyte;
/** Log that waits to be sent; when it is full, the build's writes block. */
export const logBufferBytesMax = 4 * mebibyte;
/** Log lines wait at most this long for company before they are sent. */
export const logFlushMs = 200;
/** After a build's end, how long its last log lines may take; then the end is reported without them. */
export const logDrainMsMax = 20 * secondMs;
/** How long a builder tries to report an end; then the lease runs out by itself. */
export const buildEndMsMax = 60 * secondMs;
/** First and longest pause of a builder between tries of one call; the pauses double and vary. */
export const retryPauseMsMin = 250;
export const retryPauseMsMax = 5 * secondMs;
/** Chunks that are asked about and sent together. */
export const publishBatchBytes = 8 * mebibyte;
/** Batches in flight to the seeder: with the one being filled, what a publish holds in memory. */
export const publishBatchesInFlightMax = 3;
/** Times an artifact is read and offered again because a seeder's collection was faster than its publish. */
export const publishRoundsMax = 3;
/** How long a builder that is told to end by SIGTERM lets its build go on, unless it is set otherwise. */
export const builderDrainMs = 10 * minuteMs;
/** A stopping builder has this long to end its build and to say so; then the lease runs out by itself. */
export const builderStopMsMax = 12 * secondMs;
/** Of that, what is left for the log's last lines and the report, once the stop has begun. */
export const builderStopReportMsMax = 4 * secondMs;
/** How long an ending builder tries to say that it takes no more builds; it is a hint. */
export const drainToldMsMax = 2 * secondMs;
/** How soon a builder asks for a lease again after an empty answer, which itself waited. */
export const leaseAgainMs = 100;
/** Tries of one request of a publish before the attempt fails as ours. */
export const publishTriesMax = 8;
/** Largest single log append. */
export const logAppendBytesMax = 1 * mebibyte;
/** Largest log kept of one attempt; what comes after is counted and dropped. */
export const logBytesMax = 256 * mebibyte;
/** Most of a log that one read answers; the reader goes on from there. */
export const logReadBytesMax = 1 * mebibyte;
/** What a log has to have together to leave Postgres for the store before its build ends. */
export const logSegmentBytes = 4 * mebibyte;
/** Most lines that one search of a log answers, and how much of a long line. */
export const logSearchHitsMax = 200;
export const logSearchLineBytesMax = 2 * kibibyte;
/** First wait before another attempt; doubles with each, up to the second. */
export const buildRetryMs = 2 * secondMs;
export const buildRetryMsMax = 5 * minuteMs;
/** How long a builder has to prove that a cancelled build is dead; then the state ends anyway. */
export const cancelMs = 1 * minuteMs;
/** Newest artifacts of each project that stay deployable; older ones only where a service needs them. */
export const artifactsKeptPerProject = 50;
/** How long other regions have to pull an artifact; then the build is FAILED, naming them. */
export const replicationMs = 30 * minuteMs;
/** How long looks into the queue may begin where the last whole look ended: a larger priority waits no longer. */
export const queueLookMs = 250;
/** The same where a look takes long, because a snapshot is held open or vacuum is behind. */
export const queueLookMsMax = 2 * secondMs;
/** How long a control plane trusts what it knows of the home region's seeder, and of a token. */
export const homeSeederKnownMs = 1 * secondMs;
export const tokenKnownMs = 2 * secondMs;
/** Tokens that a control plane remembers; beyond, all are looked up again. */
export const tokensKnownMax = 10_000;
/** How often a builder that asks for work is written down: its load, and that it is there. */
export const builderNotedMs = 5 * secondMs;
/** A builder that didn't ask for work for this long, and holds none, isn't counted as one. */
export const heardOfMs = 1 * minuteMs;
/** Longest statement; a connection that is silent for 2 s more is taken for dead. */
export const databaseStatementMsMax = 10 * secondMs;
/** Longest statement of a migration. */
export const migrationMsMax = 60 * minuteMs;
/** How long a control plane that starts waits for the database's first word; then it says so and ends. */
export const databaseFirstAnswerMsMax = 20 * secondMs;
/** Shortest time between two looks for artifacts that every region holds; publishes and reports ask for one. */
export const replicationLookMsMin = 50;
/** How often the database is looked at, to know a restored one. */
export const databaseLookMs = 1 * secondMs;
/** How often a control plane counts the queue. */
export const queueCountMs = 1 * secondMs;
/** Report files of a test stage that are read, each and all together at most this large; others are named as left out. */
export const testReportFilesMax = 500;
export const testReportFileBytesMax = 32 * mebibyte;
export const testReportsBytesMax = 128 * mebibyte;
/** Entries of a checkout, and depth, up to which reports are looked for. */
export const testReportEntriesMax = 200_000;
export const testReportDepthMax = 24;
/** Deepest nesting of elements in a report; a deeper one isn't read. */
export const testReportElementsDeepMax = 64;
/** Lines and branches of which coverage is added up; a report beyond it isn't read to its end. */
export const coverageLinesMax = 2_000_000;
/** Cases and files of a test report that are kept: those that failed first. All are counted. */
export const testCasesKeptMax = 5000;
export const coverageFilesKeptMax = 2000;
/** What is kept of a case's name, and of its message. */
export const testNameCharsMax = 300;
export const testMessageCharsMax = 2000;
/** Largest JSON of a test report, by which cases are left out as well. */
export const testReportBytesMax = 3 * mebibyte;
/** Patterns that a project gives for its reports. */
export const testReportPatternsMax = 32;
/** Calls of one kind that a control plane does in one statement; more wait for the next. */
export const callsTogetherMax = 64;
/** How long later calls wait for the statement of earlier ones before they get one of their own. */
export const callsTogetherSlowMs = 50;
/** Statements of one kind that may be under way at once, when earlier ones take long. */
export const callsTogetherStatementsMax = 4;
/** Calls of one kind that wait for the database; more are refused and come again. */
export const callsWaitingMax = 10_000;
/** Builds of which a control plane remembers project and commit. */
export const buildSourcesMax = 10_000;
/** How long a control plane keeps a loop after its last look at who has it; then another takes over. */
export const loopHeldMs = 5 * secondMs;
/** How often the heads of a project's branches are looked at, for pushes that nobody told of. */
export const branchLookMs = 1 * minuteMs;
/** Branches that a project may name, and projects whose remotes one round asks, so many at once. */
export const branchesMax = 32;
export const branchLooksPerRound = 50;
export const branchLooksAtOnce = 4;
/** How long a remote may take to name its branches. */
export const branchLookMsMax = 20 * secondMs;
/** Statuses that one round tells, and how long a git host may take to answer one. */
export const statusesPerRound = 50;
export const statusCallMsMax = 10 * secondMs;
/** Nobody else tells a status within this time after it was taken to be told. */
export const statusTakenMs = 1 * minuteMs;
/** Tries to tell a status, and the pauses between them: doubled each time, up to the larger. */
export const statusTriesMax = 12;
export const statusRetryMs = 2 * secondMs;
export const statusRetryMsMax = 10 * minuteMs;
/** How long one stream of a log stays open; its reader comes again and goes on where it was. */
export const logStreamMsMax = 10 * minuteMs;
/** A stream of a log says at least this often that it is alive. */
export const logStreamAliveMs = 5 * secondMs;
/** Streams of logs that one control plane has open; more are told to come again. */
export const logStreamsMax = 1000;
/** How often what a busy builder says of its load is written down. */
export const builderLoadNotedMs = 10 * secondMs;
/** About how many builds may wait at once; more are refused with `queue_full`. */
export const buildsQueuedMax = 100_000;

// Goals and rollouts ----------------------------------------------------------------------------

/** Up to this many hosts, a wave names them; beyond, it is a share. */
export const switchHostsMax = 100;
/** How often a seeder polls goals, and a host its seeder, when nobody wakes them. */
export const goalPollMs = 10 * secondMs;
/** A service's secret: they travel in goals, in sealed form, to every host of the service. */
export const serviceSecretBytesMax = 8 * kibibyte;
/** Of a sealed secret in base64: its bytes, 60 more for key, nonce and tag, a third more for the text. */
export const sealedSecretLengthMax = Math.ceil(((serviceSecretBytesMax + 60) * 4) / 3);
/** Most secrets of one service; more is refused with `invalid_input`. */
export const secretsPerServiceMax = 16;
/** Most steps of a share that a seeder's report has for a service; 36 are enough for 100,000 hosts. */
export const ladderRungsMax = 64;
/** Most troubled hosts that a seeder's report names. */
export const troubledHostsMax = 100;
/** A host that hasn't reported for this long is unknown, not healthy. */
export const hostSilentMs = 1 * minuteMs;
/** A seeder that hasn't reported for this long says nothing: its counts are no data. */
export const seederSilentMs = 40 * secondMs;
/** Largest epoch: the upper bits of a 63-bit fence. One that jumps by more at once is refused as a lie. */
export const epochMax = 2 ** 22;
export const epochJumpMax = 1000;
/** Most releases that a seeder counts for one service; the goal's own come first. */
export const releasesCountedMax = 64;

// Processes -------------------------------------------------------------------------------------

/** Largest configuration file, and largest value that a *_FILE variable names. Larger ones are refused. */
export const configFileBytesMax = 1 * mebibyte;
/** How long one step of a stop may take; it is then logged and left behind. */
export const stopStepMsMax = 10 * secondMs;
/** How long a whole stop may take; the process then ends with code 1. */
export const stopMsMax = 30 * secondMs;
/** Signals this near to the first are the same request: terminals and npm both pass a Ctrl-C on. */
export const signalRepeatMs = 500;
/** Shortest and longest pause of a loop that fails. */
export const loopBackoffMsMin = 250;
export const loopBackoffMsMax = 30 * secondMs;

// Embedded Postgres -----------------------------------------------------------------------------

/** How long making a database directory may take on a slow disk; the start then fails. */
export const postgresInitMsMax = 2 * minuteMs;
/** How long Postgres may take to answer, recovery after a crash included; the start then fails. */
export const postgresReadyMsMax = 1 * minuteMs;
/** How long a fast shutdown may take, and then an immediate one, before the process is killed. */
export const postgresStopMsMax = 5 * secondMs;
export const postgresQuitMsMax = 2 * secondMs;
/** Size at which Postgres's log starts again; one older log is kept. */
export const postgresLogBytesMax = 4 * mebibyte;
/** Largest copy of Postgres's binaries that is made for a user who can't reach the originals. */
export const postgresBinariesBytesMax = 512 * mebibyte;

// Seeders ---------------------------------------------------------------------------------------

/** How long a seeder believes that a lease is alive before it asks again; the end of a push always asks. */
export const leaseCheckedMs = 10 * secondMs;
/** Builds of which a seeder remembers the newest lease that it saw. */
export const leasesSeenMax = 10_000;
/** Uploads that a seeder remembers at once; more are refused until one ends or falls idle. */
export const uploadsMax = 256;
/** Chunks that one upload may send: an artifact of the largest size in smallest chunks. */
export const uploadChunksMax: number = artifactBytesMax / chunkBytesMin;
/** Chunks that all uploads together may have sent: about 150 MB of a seeder's memory. */
export const uploadsChunksMax: number = 4 * uploadChunksMax;
/** An upload that sent nothing for this long is forgotten; its builder asks and sends again. */
export const uploadIdleMsMax = 60 * minuteMs;
/** Goals that one seeder keeps, one for each service of its region; more are refused. */
export const regionGoalsMax = 10_000;
/** Hosts that one seeder keeps reports of; a region of more needs more seeders. */
export const regionHostsMax = 200_000;
/** A host that was silent for this long isn't listed any more. */
export const hostForgottenMs = 24 * 60 * minuteMs;
/** Members that a seeder remembers for one artifact; a newcomer takes the place of the oldest. */
export const membersPerArtifactMax = 20_000;
/** How often a member announces itself while it fetches; it is forgotten after three silent times. */
export const announceMs = 15 * secondMs;
/** Peers in an answer to an announce. */
export const peersHandedOutMax = 32;
/**
 * How long a seeder hands out a chunk that it wrote, or read and hashed, without hashing it again: the
 * disk that damages it meanwhile costs the seeder a ban by who received it, and the next reading finds it.
 */
export const chunkTrustedMs = 10 * minuteMs;
/** Most bytes of manifests that a seeder keeps in memory for those who ask next. */
export const manifestCacheBytesMax = 128 * mebibyte;
/** Different answers to hosts that a seeder keeps ready; hosts of one kind share one. */
export const hostAnswersMax = 1024;
/** Hosts that a seeder asks the control plane about at once; more are told to come again. */
export const joinsMax = 256;
/** How long a seeder waits for the control plane's word about a join token before it counts by itself. */
export const joinAskMsMax = 5 * secondMs;
/** Connections that a seeder keeps open: one of each host of a region, and some in change. */
export const seederConnectionsMax: number = regionHostsMax + 50_000;
/** Changes of hosts within this time go up in one report; more where counting takes long. */
export const reportDebounceMsMin = 50;
export const reportDebounceMsMax = 2 * secondMs;
/** Artifacts that a seeder pulls at once, so that a large one doesn't hold up a small one. */
export const artifactPullsMax = 3;
/** Chunks in one request of a seeder to another: about 32 MiB. */
export const pullChunksMax = 128;
/** Requests for chunks that a seeder has under way at once. */
export const pullsMax = 4;

// Hosts -----------------------------------------------------------------------------------------

/** Pauses between starts of a program that ended: doubled each time, up to the larger. */
export const restartPauseMsMin = 500;
export const restartPauseMsMax = 1 * minuteMs;
/** Restarts of a release on trial; the exit after the last of them fails it in its rollout. */
export const restartsMax = 3;
/** A program that was healthy for this long starts afresh with its count of restarts. */
export const stableMs = 1 * minuteMs;
/**
 * A release that was healthy for this long has proven itself on a host. When it fails later it is
 * started again rather than given up: an outage of what it depends on must not move a whole fleet back.
 */
export const trialMs = 5 * minuteMs;
/** Size at which a program's log is set aside; one older part is kept. */
export const programLogBytesMax = 16 * mebibyte;
/** How often a program that is being ended is looked at. */
export const programPollMs = 50;
/** Longest pause between two SIGKILLs for a process that hangs in the kernel. */
export const programKillPauseMs = 1 * secondMs;
/** How long a program may take that is ended together with its agent, whatever its release says. */
export const programStopOnExitMsMax = 8 * secondMs;
/** How often the size of a program's log is looked at. */
export const programLogPollMs = 2 * secondMs;
/** How long an agent that starts waits for its first passport before it goes on without. */
export const firstJoinMsMax = 5 * secondMs;
/** A passport with about this left is renewed: half of its time, so that a long outage locks nobody out. */
export const passportRenewMs: number = passportMs / 2;
/** Shortest time between two renewals, however short the passports are. */
export const passportRetryMs = 10 * minuteMs;
/** How often a host looks whether its passport must be renewed. */
export const passportPollMs = 1 * minuteMs;
/** Tries to save what failed on a host, and the pause between them, before it is acted on unsaved. */
export const saveTriesMax = 3;
export const savePauseMs = 300;
/** Longest message of a failed health check. */
export const healthMessageBytesMax = 512;
/** Pauses before an artifact that couldn't be fetched is tried again: doubled each time, up to the larger. */
export const fetchRetryMs = 1 * secondMs;
export const fetchRetryMsMax = 30 * secondMs;
/** An artifact whose served bytes were found to be wrong is mended at most this often. */
export const mendAgainMs = 10 * minuteMs;
/** How often an agent looks whether a person asked it to repair an artifact. */
export const repairPollMs = 1 * secondMs;
/** How often an agent looks what a person has paused, and how many artifacts and services that may be. */
export const pausePollMs = 1 * secondMs;
export const pausesMax = 256;
/** How long a person's command waits for a repair; the agent goes on with it. */
export const repairMsMax = 30 * minuteMs;
/** Reports of a host: changes within this time go up in one. */
export const reportDebounceMs = 50;
/** Fetches that a host's report tells of, the newest first. */
export const fetchesReportedMax = 16;
/** Artifacts that a host fetches at once; further ones wait for their turn. */
export const artifactFetchesMax = 3;
/** Artifacts that nothing names which a host keeps to take chunks from; more go, however small. */
export const oldArtifactsMax = 16;
/** Services that one host runs; goals of further ones are refused. */
export const servicesPerHostMax = 1000;
/** Seeders that a host knows; further ones that an answer names are left out. */
export const seedersKnownMax = 64;
/** How often an agent makes durable what a fetch has brought; after a crash the rest is fetched again. */
export const checkpointMs = 1 * secondMs;
/** First pause between announcements while the swarm may just be forming; doubles up to the seeder's word. */
export const announceSoonMs = 500;
/** Shortest and longest pause between announcements, whatever the seeder says. */
export const announceMsMin = 250;
export const announceMsMax = 5 * minuteMs;
/** Largest file of swarm events on a host's disk; two are kept, some 100,000 events in all. */
export const eventFileBytesMax = 8 * mebibyte;
/** How long swarm events wait to be written together, and how many; more are counted and left out. */
export const eventWriteMs = 100;
export const eventLinesMax = 10_000;
/** How often a follower looks for new ones. */
export const eventFollowMs = 250;
/** Shortest time from one question for goals to the next: a seeder whose answers always differ. */
export const goalsAgainMs = 50;

// Swarm -----------------------------------------------------------------------------------------

/** Most artifacts that one node serves or fetches at once; joining one more is a mistake of ours. */
export const artifactsPerNodeMax = 16_384;
/** Largest bitfield: four times the pieces of the largest artifact. */
export const bitfieldBytesMax = 2 * kibibyte;
/** Most pieces in one announcement; more are announced in several. */
export const havesPerMessageMax = 4096;
/** Most chunks of a request: a piece of smallest chunks. A request beyond it is a protocol error. */
export const requestChunksMax = 128;
/** Peers in one message of peer exchange; a longer list is a protocol error. */
export const peersPerMessageMax = 16;
/** Addresses that one peer may have; others aren't dialed. */
export const swarmAddressesMax = 16;
/** Longest multiaddr in a message, in characters. */
export const swarmAddressCharsMax = 256;
/** Links that a node holds at once: hosts, and seeders, which others look for. Beyond, links are refused. */
export const hostLinksMax = 64;
export const seederLinksMax = 256;
/** Candidates that a node remembers; a newcomer beyond takes the place of the oldest one without a link. */
export const candidatesMax = 256;
/** Banned peers that are remembered; beyond, the oldest ban ends early. */
export const bansMax = 1024;
/** How long a peer that sent bad bytes, or broke the protocol, is kept away. */
export const banMs = 10 * minuteMs;
/** Requests that one node has open at once: their numbers have 12 bits. Beyond, it asks later. */
export const requestsOpenMax = 4096;
/** Requests open on one link; the other side queues as many and a few that crossed, and rejects others. */
export const requestsPerLinkMax = 64;
export const uploadsQueuedPerLinkMax = 96;
/** Bytes asked for and not yet stored, over all links: what received chunks can take of a host's memory. */
export const downloadBytesOpenMax = 64 * mebibyte;
/** Bounds of the bytes asked for on one link; between them the window follows the measured delivery. */
export const windowBytesMin = 512 * kibibyte;
export const windowBytesMax = 16 * mebibyte;
/** Requests that a node answers at once; others wait in their queues. Some are kept for newcomers. */
export const uploadSlotsMax = 12;
export const uploadSlotsForNewcomers = 2;
/** Messages that wait to be sent, or came before the link is open; a peer that causes more is dropped. */
export const controlQueueBytesMax = 4 * mebibyte;
/** Received bytes that a libp2p stream lets be under way, and keeps when nobody reads it. */
export const streamWindowBytesMax = 1 * mebibyte;
export const streamReadBytesMax = 2 * mebibyte;
/** Chunk bytes that wait in a stream before the next chunk is read from the disk. */
export const laneQueueBytesMax = 256 * kibibyte;
/** A frame of the data stream or a bulk socket: one chunk, or a run of chunks up to this size together: a whole piece. */
export const runBytesMax: number = pieceBytesMax;
/** A run on a bulk socket takes about so long: where more would take longer, a receiver would wait for its first chunk. */
export const runMsMax = 100;
/** Runs that are read or being sent, of all uploads together; where there are many, each has shorter ones. */
export const uploadBytesMax = 24 * mebibyte;
/** A run on a libp2p stream: shorter, because all of it waits in the stream. */
export const streamRunBytesMax = 256 * kibibyte;
/** Bytes that wait in a bulk socket while the next run is read from the disk. */
export const bulkQueueBytesMax = 1 * mebibyte;
/** What is encrypted at once: the runtime keeps all of it a second time until it is sent. */
export const bulkWriteBytesMax = 512 * kibibyte;
/** Bulk sockets whose opening isn't there or whose link hasn't announced them; more are closed at once. */
export const bulkPendingMax = 128;
/** How long a bulk socket may take to be connected, encrypted and accepted. */
export const bulkOpenMsMax = 5 * secondMs;
/** How long the first requests of a link wait for its bulk socket; a stream carries on then. */
export const bulkHoldMsMax = 2 * secondMs;
/** Pauses before a peer's bulk port is tried again: doubled each time, up to the larger. */
export const bulkRetryMsMin = 2 * secondMs;
export const bulkRetryMsMax = 60 * secondMs;
/** A bulk socket that lived this long was no failure: the next one is tried at once when it ends. */
export const bulkStableMs = 60 * secondMs;
/**
 * A bulk socket that owes something and is silent for this long is suspected: the port is called, and
 * the socket given up when nobody answers. Both together are shorter than a stall of the scheduler.
 */
export const bulkSilentMs = 3 * secondMs;
/** Requests of lost bulk sockets whose end may still come on the stream; beyond, the oldest is forgotten. */
export const voidedRequestsMax = 4096;
/** How long one search for peers without a seeder may take, and how long a node counts as a provider. */
export const discoveryMsMax = 20 * secondMs;
export const providerRecordMs: number = 60 * minuteMs;
/** How often and how many of the peers that are linked are written down for the next start. */
export const rememberPeersMs = 3 * secondMs;
export const rememberedPeersMax = 64;
/** Peers in what an artifact is said to wait for. */
export const waitedPeersMax = 8;
/** How often passports and permissions of open links are looked at again, each link once. */
export const permissionsMs = 10 * secondMs;
/**
 * How long dialing a peer, or its hello, may take. Long, because a seeder that a whole region dials at
 * once is slow and not dead: what is given up halfway has cost both sides, and is dialed again.
 */
export const dialMsMax = 15 * secondMs;
export const helloMsMax = 15 * secondMs;
/** Connections that are being encrypted at once; more are refused at once, and dial again later. */
export const pendingConnectionsMax = 64;
/** How long an agent has nothing to fetch before it gives back memory: that stops it for some 200 ms. */
export const restMs = 10 * secondMs;
/** How long one chunk may take to leave for a peer; the link is then dropped. */
export const chunkSendMsMax = 30 * secondMs;

assert(
  chunkBytesMin < chunkBytesTarget && chunkBytesTarget < chunkBytesMax,
  "chunk sizes are ordered",
);
assert(pieceBytesTargetMin >= chunkBytesTarget, "a piece holds at least a typical chunk");
assert(leaseMs > 3 * heartbeatMs, "a lease survives three lost heartbeats");
assert(
  packBytesTarget + 2 * chunkBytesMax < packBytesMax,
  "a full pack with its index can be opened",
);
assert(
  packBytesMax <= blobBytesMax && manifestBytesMax <= blobBytesMax,
  "packs and manifests are blobs",
);
assert(statusTakenMs > 2 * statusCallMsMax, "a status isn't told by two at once");
assert(logStreamAliveMs < longPollMsMax, "a stream of a log is alive more often than a poll ends");
assert(testReportBytesMax < jsonBodyBytesMax, "a test report with its fence fits a body");
assert(builderStopReportMsMax < builderStopMsMax, "a stopping builder can still say so");
assert(builderStopMsMax < stopMsMax, "a builder's last build ends within its process's stop");
assert(2 * programStopOnExitMsMax < stopMsMax, "programs end within their agent's stop");
assert(chunkHashesPerRequestMax * 32 < chunkBatchBytesMax, "a full list of hashes fits a request");
assert(answerSilentMsMax > 2 * longPollMsMax, "a long poll ends before its reader gives up");
assert(postgresStopMsMax + postgresQuitMsMax < stopStepMsMax, "Postgres stops within its step");
assert(2 * joinAskMsMax < requestTimeoutMs, "a host that joins hears in time who counts its token");
assert(hostSilentMs > 3 * goalPollMs, "a host is silent only after several lost reports");
assert(seederSilentMs > 3 * goalPollMs, "a seeder is silent only after several lost reports");
assert(
  bitfieldBytesMax * 8 * pieceBytesTargetMax >= 4 * artifactBytesMax,
  "a bitfield has room for every piece",
);
assert(requestChunksMax * chunkBytesMin >= pieceBytesMax, "a piece of usual chunks is one request");
assert(
  uploadsQueuedPerLinkMax > requestsPerLinkMax,
  "what one side may ask fits the other's queue",
);
assert(uploadSlotsForNewcomers < uploadSlotsMax, "newcomers leave room for others");
assert(streamWindowBytesMax < streamReadBytesMax, "a paused stream isn't reset");
assert(runBytesMax >= chunkBytesMax && streamRunBytesMax <= runBytesMax, "a run holds any chunk");
assert(uploadBytesMax >= 2 * uploadSlotsMax * chunkBytesMax, "every upload has room for its runs");
assert(bulkRetryMsMin < bulkRetryMsMax, "pauses grow");
assert(bulkHoldMsMax < bulkOpenMsMax, "a socket that takes long holds nothing up");
assert(windowBytesMin <= downloadBytesOpenMax, "one link alone can fill its window");
