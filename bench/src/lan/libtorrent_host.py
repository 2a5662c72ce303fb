"""One host of the comparison with libtorrent: waits for a line on standard input, adds the torrent,
connects to the others as a tracker would have told it, and prints when it has everything."""
import json
import sys
import time

import libtorrent as lt

torrent, folder, address, *others = sys.argv[1:]
session = lt.session({
    "listen_interfaces": f"{address}:6881",
    "enable_dht": False,
    "enable_lsd": False,
    "enable_upnp": False,
    "enable_natpmp": False,
    # Its own congestion control gives way to others; here nobody else is on the wire.
    "enable_outgoing_utp": False,
    "enable_incoming_utp": False,
    "alert_mask": 0,
})
print("ready", flush=True)
sys.stdin.readline()
parameters = lt.add_torrent_params()
parameters.ti = lt.torrent_info(torrent)
parameters.save_path = folder
handle = session.add_torrent(parameters)
for other in others:
    handle.connect_peer((other, 6881))
while not handle.status().is_seeding:
    time.sleep(0.01)
print(json.dumps({"doneAt": time.time() * 1000}), flush=True)
sys.stdin.readline()
