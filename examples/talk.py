"""Talks with a deepme server and survives a lost connection.

    pip install websockets
    python examples/talk.py http://127.0.0.1:8000 jiwoo@example.com "요즘 기분이 별로야."

The password is asked for, or taken from DEEPME_PASSWORD.
"""

import asyncio
import getpass
import json
import os
import sys
import urllib.request
import uuid

import websockets


def login(base, email, password):
    body = json.dumps({"email": email, "password": password}).encode()
    request = urllib.request.Request(f"{base}/login", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)["access_token"]


async def say(base, token, words, session_id=None):
    """Says something, prints the answer as it comes, returns the session's id."""
    message = {"user_input": words, "message_id": str(uuid.uuid4())}
    text, pause = "", 0.5
    while True:
        url = base.replace("http", "ws", 1) + "/ws/emotion"
        url += f"?session_id={session_id}" if session_id else ""
        headers = {"Authorization": f"Bearer {token}"}
        try:
            async with websockets.connect(
                url, additional_headers=headers, subprotocols=["deepme.v1"]
            ) as socket:
                async for frame in socket:
                    frame = json.loads(frame)
                    if "session_id" in frame:
                        session_id = frame["session_id"]
                        # The same message_id never makes a second step: after a reconnect the
                        # answer goes on after the code points that were received.
                        await socket.send(json.dumps({**message, "received": len(text)}))
                    elif "resumed" in frame:
                        text = text[: frame["resumed"]["from"]]
                    elif "token" in frame:
                        text += frame["token"]
                        print(frame["token"], end="", flush=True)
                    elif "safety" in frame:
                        print(frame["safety"]["message"], file=sys.stderr)
                        for resource in frame["safety"]["resources"]:
                            print(resource["name"], resource["contact"], file=sys.stderr)
                    elif "notice" in frame:
                        print(f"[{frame['notice']['message']}]", file=sys.stderr)
                    elif "done" in frame:
                        print()
                        return session_id
                    elif "error" in frame:
                        error = frame["error"]
                        if error.get("stored") is not False or "retry_after" not in error:
                            raise RuntimeError(error["message"])
                        await asyncio.sleep(error["retry_after"])
                        await socket.send(json.dumps({**message, "received": len(text)}))
                if socket.close_code in (4401, 4404):
                    raise RuntimeError(socket.close_reason)
        except (OSError, websockets.ConnectionClosed):
            pass
        await asyncio.sleep(pause)
        pause = min(pause * 2, 10)


if __name__ == "__main__":
    base, email, *words = sys.argv[1:]
    password = os.environ.get("DEEPME_PASSWORD") or getpass.getpass()
    try:
        asyncio.run(say(base, login(base, email, password), " ".join(words)))
    except RuntimeError as error:
        sys.exit(f"\n{error}")
