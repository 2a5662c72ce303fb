# One process of libtorrent, the BitTorrent that `bench --with libtorrent` compares with: a seed or a
# leecher. It says that it is up as one JSON line, waits for a line with its peers, and says when
# everything is there and on the disk. Payload and torrent are made by `make`.
import json
import os
import sys

import libtorrent as lt

MIB = 1024 * 1024
PIECE_BYTES = 4 * MIB

SETTINGS = {
    "listen_interfaces": "127.0.0.1:0",
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    "enable_incoming_utp": False,
    "enable_outgoing_utp": False,
    "in_enc_policy": 2,
    "out_enc_policy": 2,
    "unchoke_slots_limit": 200,
    "connections_limit": 500,
    "allow_multiple_connections_per_ip": True,
    "send_buffer_watermark": 8 * MIB,
    "max_out_request_queue": 2000,
    "max_allowed_in_request_queue": 4000,
    "request_queue_time": 5,
    "piece_extent_affinity": True,
    "max_queued_disk_bytes": 64 * MIB,
    "alert_mask": lt.alert.category_t.status_notification
    | lt.alert.category_t.error_notification
    | lt.alert.category_t.storage_notification,
}


def make(folder, mib):
    path = os.path.join(folder, "seed", "payload")
    os.makedirs(os.path.dirname(path), exist_ok=True)
    with open(path, "wb") as file:
        for _ in range(mib):
            file.write(os.urandom(MIB))
        os.fsync(file.fileno())
    files = lt.file_storage()
    lt.add_files(files, path)
    torrent = lt.create_torrent(files, PIECE_BYTES, flags=lt.create_torrent.v1_only)
    lt.set_piece_hashes(torrent, os.path.dirname(path))
    with open(os.path.join(folder, "payload.torrent"), "wb") as file:
        file.write(lt.bencode(torrent.generate()))


def add(session, folder, name, is_seed):
    params = lt.add_torrent_params()
    params.ti = lt.torrent_info(os.path.join(folder, "payload.torrent"))
    params.save_path = os.path.join(folder, name)
    params.flags &= ~lt.torrent_flags.auto_managed
    params.flags &= ~lt.torrent_flags.paused
    if is_seed:
        params.flags |= lt.torrent_flags.seed_mode
    return session.add_torrent(params)


def say(fact):
    sys.stdout.write(json.dumps(fact) + "\n")
    sys.stdout.flush()


def wait_for(session, wanted):
    while True:
        session.wait_for_alert(1000)
        for alert in session.pop_alerts():
            if isinstance(alert, (lt.torrent_error_alert, lt.file_error_alert)):
                raise RuntimeError(alert.message())
            if isinstance(alert, wanted):
                return


def put_on_disk(session, handle, path):
    """What is compared with ends when its file would outlast a crash; so does this."""
    handle.flush_cache()
    wait_for(session, lt.cache_flushed_alert)
    file = os.open(path, os.O_RDONLY)
    os.fsync(file)
    os.close(file)


def run(role, folder, name):
    session = lt.session(SETTINGS)
    is_seed = role == "seed"
    handle = add(session, folder, name, True) if is_seed else None
    say({"ready": True, "port": session.listen_port()})
    line = sys.stdin.readline()
    if not line:
        return
    if not is_seed:
        handle = add(session, folder, name, False)
        for port in json.loads(line):
            handle.connect_peer(("127.0.0.1", port))
        wait_for(session, lt.torrent_finished_alert)
        put_on_disk(session, handle, os.path.join(folder, name, "payload"))
    status = handle.status()
    say({"done": True, "uploaded": status.all_time_upload, "downloaded": status.all_time_download})
    sys.stdin.readline()
    status = handle.status()
    say({"uploaded": status.all_time_upload})


if __name__ == "__main__":
    if sys.argv[1] == "make":
        make(sys.argv[2], int(sys.argv[3]))
    else:
        run(*sys.argv[1:4])
