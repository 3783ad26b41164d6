//! The shards of this peer one by one, and how their scrub gets on.

use std::ops::RangeInclusive;

use plexmesh_proto::integrity::Verdict as ProtoVerdict;

use crate::api::schema::{
    Backup, BackupItems, Health, PieceRange, Scrub, Shard, ShardItems, ShardSource, Verdict,
};
use crate::scrub::{Progress, ScrubHandle, ShardDetail, SourceDetail};
use crate::sources::{Algorithm, ExpectedDigest};
use crate::text::hex;
use crate::time::WallTime;

/// Shards in one answer at the most: 40 MB of JSON.
pub const MAX_SHARDS_LISTED: usize = 100_000;

/// Shards with one of these verdicts, or any if there is none, whose id begins so.
#[must_use]
pub fn shards(scrub: &ScrubHandle, verdicts: &[Verdict], id: &str, limit: usize) -> ShardItems {
    let picked = |shard: &str, verdict: Option<ProtoVerdict>| {
        let wanted = verdicts.is_empty()
            || verdict.is_some_and(|verdict| verdicts.contains(&verdict.into()));
        wanted && shard.starts_with(id)
    };
    let (shards, matching_shards) = scrub.shards(&picked, limit.min(MAX_SHARDS_LISTED));
    ShardItems { items: shards.into_iter().map(shard).collect(), matching_shards }
}

/// Backups of which pieces are here.
#[must_use]
pub fn backups(scrub: &ScrubHandle, limit: usize) -> BackupItems {
    let backups = scrub.backups();
    let matching_backups = backups.len();
    let items = backups.into_iter().take(limit.min(MAX_SHARDS_LISTED)).map(backup).collect();
    BackupItems { items, matching_backups }
}

fn backup(backup: crate::scrub::Backup) -> Backup {
    let range = |gap: &RangeInclusive<u32>| PieceRange { from: *gap.start(), to: *gap.end() };
    Backup {
        id: backup.id,
        source: backup.source.display().to_string(),
        present_pieces: backup.present,
        lacking_pieces: backup.lacking,
        highest_piece: backup.highest,
        absent_pieces: backup.absent,
        gaps: backup.gaps.iter().map(range).collect(),
    }
}

/// How the scrub gets on.
#[must_use]
pub fn scrub(scrub: &ScrubHandle, chosen_shards: Option<usize>) -> Scrub {
    let progress = scrub.progress();
    let (status, summary) = judge(&progress);
    Scrub {
        status,
        summary,
        deadline_seconds: progress.deadline.as_secs_f64(),
        shards: progress.shards,
        read_in_time: progress.read_in_time,
        never_read_shards: progress.never_read,
        oldest_read_at: progress.oldest_ms.map(WallTime::from_ms),
        due_shards: progress.backlog.shards,
        due_bytes: progress.backlog.bytes,
        read_bytes_per_second: progress.bytes_per_second,
        done_in_seconds: progress.done_in.map(|span| span.as_secs_f64()),
        paused_until: progress.paused_until_ms.map(WallTime::from_ms),
        hours: progress.hours.map(|hours| hours.to_string()),
        opens_at: progress.opens_ms.map(WallTime::from_ms),
        files_read: progress.files_read,
        read_bytes: progress.bytes_read,
        unsaved_changes: progress.unsaved,
        sources: progress.sources.into_iter().map(source).collect(),
        chosen_shards,
    }
}

fn judge(progress: &Progress) -> (Health, String) {
    let (read, shards) = (progress.read_in_time, progress.shards);
    let text = format!("{read} of {shards} shards were read within the deadline");
    let faulty = progress.sources.iter().filter(|source| source.fault.is_some()).count();
    if progress.sources.is_empty() {
        return (Health::Unknown, "this peer looks at no directory of shards".to_owned());
    }
    if faulty > 0 {
        let of = progress.sources.len();
        return (Health::Crit, format!("{faulty} of {of} directories cannot be looked at; {text}"));
    }
    if progress.sources.iter().any(|source| source.looked_ms.is_none()) {
        return (Health::Unknown, "the first look is under way".to_owned());
    }
    if progress.paused_until_ms.is_some() {
        return (Health::Warn, format!("paused; {text}"));
    }
    // Shards without a file cannot be read, and are told of by their verdicts.
    let status = if progress.unread > 0 { Health::Unknown } else { Health::Ok };
    (status, text)
}

fn shard(detail: ShardDetail) -> Shard {
    Shard {
        id: detail.id,
        source: detail.source.display().to_string(),
        verdict: detail.verdict.map(Verdict::from),
        since: detail.since_ms.map(WallTime::from_ms),
        size_bytes: detail.size_bytes,
        expected_size_bytes: detail.expected_size_bytes,
        expected_sha256: detail
            .expected_digest
            .and_then(|it| it.single(Algorithm::Sha256))
            .map(|digest| hex(&digest)),
        expected_algorithms: detail
            .expected_digest
            .iter()
            .flat_map(ExpectedDigest::algorithms)
            .map(|algorithm| algorithm.word().to_owned())
            .collect(),
        blake3: detail.blake3.map(|digest| hex(&digest)),
        verified_at: detail.verified_ms.map(WallTime::from_ms),
    }
}

fn source(detail: SourceDetail) -> ShardSource {
    let (fault, fault_since) = match detail.fault {
        Some((_, reason, since_ms)) => (Some(reason), Some(WallTime::from_ms(since_ms))),
        None => (None, None),
    };
    ShardSource {
        root: detail.directory.root.display().to_string(),
        kind: detail.directory.kind,
        region: detail.directory.region,
        tier: detail.directory.tier,
        shards: detail.shards,
        refused: detail.refused,
        stale_manifest: detail.stale_manifest,
        looked_at: detail.looked_ms.map(WallTime::from_ms),
        fault,
        fault_since,
    }
}
