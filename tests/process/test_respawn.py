from tidegate.process.respawn import Respawn


def test_first_death_is_answered_at_once():
    assert Respawn().died(0.01) == 0.0


def test_a_crash_loop_slows_down_to_five_seconds():
    respawn = Respawn()
    delays = [respawn.died(0.5) for _ in range(10)]
    assert delays == [0.0, 0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 5.0]
    assert respawn.restarts == 10


def test_a_long_life_is_not_held_against_the_next():
    respawn = Respawn()
    for _ in range(5):
        respawn.died(0.5)
    assert respawn.died(3600.0) == 0.0
    assert respawn.died(0.5) == 0.0


def test_one_that_served_is_followed_at_once_however_often_it_is_killed():
    respawn = Respawn()
    assert [respawn.died(1.0, served_s=0.6) for _ in range(60)] == [0.0] * 60
    assert respawn.restarts == 60


def test_starts_of_one_that_serves_and_dies_stay_a_second_apart():
    assert Respawn().died(0.75, served_s=0.6) == 0.25


def test_a_worker_that_dies_as_soon_as_it_serves_is_a_crash_loop():
    respawn = Respawn()
    assert [respawn.died(0.6, served_s=0.1) for _ in range(4)] == [0.0, 0.1, 0.2, 0.4]
    # One that lasted a little longer is followed at once, and does not start the count anew.
    assert respawn.died(1.0, served_s=0.6) == 0.0
    assert respawn.died(0.6, served_s=0.1) == 0.8


def test_a_thousand_crashes_overflow_nothing():
    respawn = Respawn()
    assert max(respawn.died(0.0) for _ in range(5000)) == 5.0
