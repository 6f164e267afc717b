# SPDX-License-Identifier: Apache-2.0
"""A ZeroMQ program that knows nothing of Sealane: echoes what it gets, by the pattern and address it is given."""
import sys

import zmq

pattern, method, address, count = sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4])
context = zmq.Context()
socket = context.socket({"pull": zmq.PULL, "push": zmq.PUSH, "rep": zmq.REP, "req": zmq.REQ, "pair": zmq.PAIR,
                         "sub": zmq.SUB, "pub": zmq.XPUB, "dealer": zmq.DEALER}[pattern])
socket.setsockopt(zmq.LINGER, 5000)
socket.setsockopt(zmq.RCVTIMEO, 15000)
socket.setsockopt(zmq.SNDTIMEO, 15000)
if pattern == "sub":
    socket.setsockopt(zmq.SUBSCRIBE, b"a")
(socket.bind if method == "bind" else socket.connect)(address)


def message(number):
    return [b"a%d" % number, b"", bytes([number % 251]) * (number * 1000)]


def check(parts, number):
    assert parts == message(number), (number, [len(p) for p in parts])


if pattern == "pub":
    socket.recv()  # the subscription
for number in range(count):
    if pattern in ("push", "pub"):
        socket.send_multipart(message(number))
    elif pattern in ("pull", "sub"):
        check(socket.recv_multipart(), number)
    elif pattern in ("rep", "pair"):
        parts = socket.recv_multipart()
        check(parts, number)
        socket.send_multipart(parts)
    else:
        socket.send_multipart(([b""] if pattern == "dealer" else []) + message(number))
        parts = socket.recv_multipart()
        check(parts[1:] if pattern == "dealer" else parts, number)
socket.close()
context.term()
